// Milliseconds from the last key to the first frames that show other numbers and their verdict.
(() => {
  const all = (selector, root = document) => [
    ...root.querySelectorAll(selector),
    ...[...root.querySelectorAll("*")].filter((one) => one.shadowRoot).flatMap((one) => all(selector, one.shadowRoot)),
  ];
  const holder = (selector) => all(selector)[0].getRootNode();
  const numbers = holder("dl.numbers");
  const verdict = holder(".verdict");
  const text = (root, selector) => {
    const one = root.querySelector(selector);
    return one && !one.closest(".waiting") ? one.textContent : null;
  };
  let started = 0;
  let before = null;
  const read = () => text(numbers, '[data-quantity="width"] dd');
  document.addEventListener(
    "keydown",
    () => {
      started = performance.now();
      before = read();
    },
    true,
  );
  const frame = () => new Promise((done) => requestAnimationFrame(() => done(performance.now())));
  window.explorerClock = {
    async answered() {
      let at = [null, null];
      while (at.some((one) => one === null)) {
        const now = await frame();
        const width = read();
        if (at[0] === null && width !== null && width !== before) {
          at[0] = now - started;
        }
        if (at[0] !== null && at[1] === null && text(verdict, ".verdict") !== null) {
          at[1] = now - started;
        }
      }
      return at;
    },
  };
})();
