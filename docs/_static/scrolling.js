// What is too wide for its place and scrolls must be reachable by the keyboard.
const wide = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
    else target.removeAttribute("tabindex");
  }
});
for (const one of document.querySelectorAll("pre, .math-wrapper, .table-wrapper")) wide.observe(one);
