"""One page: the state of its visitor, the widgets that change it, the address that keeps it, and the answers to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property, partial
from html import escape
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qs, urlencode

import panel as pn
import panel_material_ui as pmui
import param
from tornado.ioloop import IOLoop

from assembly.errors import AssemblyError
from assembly.explorer.components import Browser, Theme, Words, failure
from assembly.explorer.jobs import Frames, Jobs, Task
from assembly.explorer.pace import Pace
from assembly.explorer.panels.compose import Compose
from assembly.explorer.panels.numbers import Numbers
from assembly.explorer.state import State
from assembly.explorer.uploads import missing

if TYPE_CHECKING:
    from assembly.explorer.panels.linear import Linear
    from assembly.explorer.panels.network import Network
    from assembly.explorer.panels.scaling import Scaling
    from assembly.explorer.panels.tour import Tour
    from assembly.explorer.panels.training import Training

    Below = Linear | Network | Scaling | Training | Tour
    B = TypeVar("B", Linear, Network, Scaling, Training, Tour)

TITLE = "Explorer of assemblies"
_NOT_OURS = ("token",)  # keys of the address that are the server's

_PANELS = {  # the attribute of `Explorer` that holds a panel -> its title
    "linear": "Is it linear?",
    "assembly": "The assembly",
    "scaling": "Scaling",
    "training": "Training",
    "tour": "Tour",
}
_THEME = {"components": {"MuiLinearProgress": {"defaultProps": {"aria-label": "the page is at work"}}}}


class Explorer:
    """One visitor's page, which does nothing until it is begun.

    Parameters
    ----------
    query : str
        What the address says of the state.
    post : callable
        Runs a function on the thread of the page, called from the worker.
    owns_machine : bool
        Whether the visitor may name folders of the machine.
    is_away : callable
        Whether the page has lost its browser, for good or not.
    """

    def __init__(
        self,
        query: str,
        post: Callable[[Callable[[], None]], object],
        *,
        owns_machine: bool = False,
        is_away: Callable[[], bool] = lambda: False,
    ) -> None:
        self._early: list[Callable[[], None]] | None = []
        self._pace = Pace(self._renew, post)
        self.state, sentence = _read(query)
        self.neuron = Jobs(post, self._show)
        self.jobs, self.slow = Jobs(post, self._show), Jobs(post, self._show, is_long=True, is_away=is_away)
        self.browser = Browser(width=0, height=0, margin=0)
        self.message = Words(is_live=True)
        self.compose = Compose(self.change, self.choose, post)
        self.numbers = Numbers()
        self.trainer = Jobs(post, self._show)
        self._post, self._owns_machine = post, owns_machine
        self._own: State | None = None  # where the visitor was before the tour
        self.shown = pmui.RadioButtonGroup(
            label="What is looked at",
            options={text: name for name, text in _PANELS.items()},
            value="linear",
            sizing_mode="stretch_width",
        )
        self.shown.param.watch(lambda event: self._look_at(event.new), "value")
        self.script = Words()
        self._rooms = {name: pmui.Column(sizing_mode="stretch_width") for name in _PANELS}
        self.browser.param.watch(lambda event: self._walked(event.new), "query")
        self.browser.param.watch(lambda event: self._seen(event.new), "seen")
        self.view = self._lay_out()
        self._sync()
        self.message.html = sentence

    def begin(self) -> None:
        """Work from now on: the page is loaded in the browser, and what was chosen there before is done now.

        Notes
        -----
        Panel hands a page over once, and sends what changes from when the browser says that it is loaded. What the
        server changes in between is lost. So it changes nothing before.
        """
        early, self._early = self._early or [], None
        self.view.param.watch(lambda _: self._dress(), "dark_theme")
        self._sync()
        self._renew()
        for one in early:
            one()

    def change(self, **changes: Any) -> None:
        """Change some fields of the state, or say why not."""
        if self._early is not None:
            self._early.append(partial(self.change, **changes))
            return
        state = self._with(changes)
        if state is not None:
            self.choose(state)

    def keep(self, **changes: Any) -> None:
        """Change fields that nothing depends on but what one panel asks for itself: the rest is not computed again."""
        if self._early is not None:
            self._early.append(partial(self.keep, **changes))
            return
        self.state = self._with(changes) or self.state
        self._sync()
        self.browser.query = self.state.to_query()
        self._say_script()

    def choose(self, state: State) -> None:
        """Go to a state; what a study measures stays as it is."""
        if self._early is not None:
            self._early.append(partial(self.choose, state))
            return
        self.message.html = ""
        state = state.replace(**self.state.of_study)
        if state != self.state:
            self.state = state
            self._sync()
            self._pace.ask()

    def _with(self, changes: Mapping[str, Any]) -> State | None:
        """Return the state with some fields changed, or say why not."""
        try:
            return self.state.replace(**changes)
        except AssemblyError as error:
            self.message.html = failure(str(error))
            self._sync()
            return None

    def close(self) -> None:
        """End the work of the page."""
        self.jobs.close()
        self.slow.close()
        self.neuron.close()
        self.trainer.close()
        if self._is_made("scaling"):
            self.scaling.close()
        self.compose.files.close()

    def _lay_out(self) -> Any:
        heading = Words(html=f'<h1 class="hidden">{TITLE}</h1>')
        answers = pmui.Column(
            self.message,
            self.numbers.view,
            self.shown,
            *self._rooms.values(),
            self.script,
            sizing_mode="stretch_width",
        )
        grid = pmui.Grid(
            pmui.Grid(pmui.Column(heading, self.numbers.verdict, sizing_mode="stretch_width"), size=12),
            pmui.Grid(self.compose.view, size={"xs": 12, "md": 4}),
            pmui.Grid(answers, size={"xs": 12, "md": 8}),
            container=True,
            spacing=2,
            sizing_mode="stretch_width",
        )
        theme = Theme(width=0, height=0, margin=0)
        page = pmui.Page(title=TITLE, main=[grid, self.browser, theme], theme_config=_THEME)
        with param.parameterized.edit_constant(page):
            page.busy = False  # else it follows every event, and each time Panel walks through the whole page
        theme.jslink(page, is_dark="dark_theme")
        return page

    def _renew(self) -> None:
        """Have the state answered."""
        self.slow.submit({})  # what is old ends before the new begins
        tasks = {**self.numbers.tasks(self.state), **getattr(self, self._looked_at).tasks(self.state)}
        self._pace.began(tasks)
        self.jobs.submit(tasks)  # they are computed while the page is told to wait
        with pn.io.hold():  # in one message, which the browser draws once
            self.browser.query = self.state.to_query()
            for one in self._answering:
                one.wait(self.state)
            self._say_script()
        self.slow.submit(self.linear.slow_tasks(self.state) if self._looked_at == "linear" else {})

    def _sync(self) -> None:
        self.compose.sync(self.state)
        self.shown.value = seen = self._looked_at
        if not self._rooms[seen].objects:  # what nobody looks at yet would keep the first page waiting
            self._rooms[seen].append(getattr(self, seen).view)
        for one in self._made:
            one.sync(self.state)
        for name, room in self._rooms.items():
            room.visible = name == seen

    def _look_at(self, panel: str) -> None:
        """Go to a panel; to the tour with the controls as its step has them."""
        if panel == "tour" != self.state.panel:
            self._once_begun(self._enter_tour)
        else:
            self.change(panel=panel)

    def _enter_tour(self) -> None:
        """Go to the step of the tour, and remember the network of the visitor."""
        from assembly.explorer.tour import is_a_step, start

        if self._own is None or not is_a_step(self.state):
            self._own = self.state
        self.tour.home.visible = True
        self.choose(start(self.state.tour_step))

    def _leave_tour(self) -> None:
        """Go back to the network of the visitor."""
        own, self._own = self._own, None
        self.tour.home.visible = False
        if own is not None:
            self.choose(own.replace(tour_step=self.state.tour_step))

    def _once_begun(self, act: Callable[[], None]) -> None:
        """Do something now, or when the page begins."""
        if self._early is None:
            act()
        else:
            self._early.append(act)

    def _ask(self, tasks: Mapping[str, Task]) -> None:
        self.neuron.submit(tasks)

    # --- the panels: each is loaded and made when it is first looked at ----------------------------------------------

    @cached_property
    def linear(self) -> Linear:
        """The curve beside its tangent, and the bracket."""
        from assembly.explorer.panels.linear import Linear

        return self._synced(Linear(self.change))

    @cached_property
    def assembly(self) -> Network:
        """The drawing, and the card of a neuron."""
        from assembly.explorer.panels.network import Network

        network = self._synced(Network(self.change, self._ask))
        self._once_begun(lambda: network.dress(is_dark=self.view.dark_theme))
        return network

    @cached_property
    def scaling(self) -> Scaling:
        """A study over widths."""
        from assembly.explorer.panels.scaling import Scaling

        return self._synced(
            Scaling(self._post, self._ask, self._once_begun, self.keep, owns_machine=self._owns_machine)
        )

    @cached_property
    def training(self) -> Training:
        """Gradient descent, step by step."""
        from assembly.explorer.panels.training import Training

        return self._synced(Training(self.change, self.trainer.submit, self._once_begun))

    @cached_property
    def tour(self) -> Tour:
        """The guided tour."""
        from assembly.explorer.panels.tour import Tour

        return self._synced(Tour(self.choose, self._ask, self._once_begun, self._leave_tour))

    def _synced(self, panel: B) -> B:
        panel.sync(self.state)
        return panel

    def _is_made(self, name: str) -> bool:
        return name in vars(self)

    @property
    def _made(self) -> list[Below]:
        return [getattr(self, name) for name in _PANELS if self._is_made(name)]

    def _dress(self) -> None:
        if self._is_made("assembly"):
            self.assembly.dress(is_dark=self.view.dark_theme)

    # -----------------------------------------------------------------------------------------------------------------

    @property
    def _looked_at(self) -> str:
        return self.state.panel if self.state.panel in _PANELS else "linear"

    @property
    def _answering(self) -> tuple[Numbers | Below, ...]:
        return self.numbers, *self._made

    def _show(self, frames: Frames) -> None:
        """Show answers; runs on the thread of the page."""
        with pn.io.hold():
            for name, answer in frames.items():
                for one in self._answering:
                    one.show(name, answer)
            if self._is_made("training") and not self.training.plays:
                self._say_script()
            self.browser.shown += 1
        self._pace.showed(frames)

    def _say_script(self) -> None:
        from assembly.explorer.script import script

        n_steps = self.training.n_steps if self._is_made("training") else 0
        text = escape(script(self.state, n_steps) if n_steps else script(self.state))
        self.script.html = (
            '<p><button type="button" data-copies="pre" data-label="Copy as Python">Copy as Python</button></p>'
            f'<details><summary>The same in Python</summary><pre tabindex="0">{text}</pre></details>'
        )

    def _seen(self, shown: int) -> None:
        """Go on when the browser shows the newest it was sent."""
        if shown == self.browser.shown:
            self._pace.seen()

    def _walked(self, query: str) -> None:
        """Follow the browser back and forth."""
        if query == self.state.to_query():
            return
        state, self.message.html = _read(query, self.compose.files.owns)
        if state != self.state:
            self.state = state
            self._sync()
            self._renew()


def page(*, owns_machine: bool = False) -> Any:
    """Return the page of a new visitor, as the server asks for it."""
    arguments = pn.state.session_args or {}
    pairs = [(name, value.decode("utf-8", "replace")) for name, values in arguments.items() for value in values]
    document, loop = pn.state.curdoc, IOLoop.current()

    def run_there(run: Callable[[], None]) -> None:
        if document.session_context is not None:
            document.add_next_tick_callback(run)

    def is_away() -> bool:
        context = document.session_context
        return context is not None and context.session is not None and context.session.connection_count == 0

    post = partial(loop.add_callback, run_there)
    explorer = Explorer(urlencode(pairs), post, owns_machine=owns_machine, is_away=is_away)
    pn.state.onload(explorer.begin)
    pn.state.on_session_destroyed(lambda _: explorer.close())
    return explorer.view


def _read(query: str, owns: Callable[[str], bool] = lambda key: False) -> tuple[State, str]:
    """Return the state of an address and nothing, or the usual one and the sentence on what is wrong with it.

    A file that the page was not given is left out: what another page was given is nobody else's.
    """
    parts = [part for part in query.removeprefix("?").split("&") if part.partition("=")[0] not in _NOT_OURS]
    foreign = [key for key in parse_qs(query.removeprefix("?")).get("file", []) if not owns(key)]
    if foreign:
        parts = [part for part in parts if part.partition("=")[0] not in ("file", "data", "row")]
    try:
        return State.from_query("&".join(parts)), failure(missing(foreign[0])) if foreign else ""
    except AssemblyError as error:
        return State(), failure(f"The address holds something else than a state of the explorer. {error}")
