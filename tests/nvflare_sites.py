"""NVFlare's server side in this process; sites take their tasks in turn, and may be silent, fail or lie."""

from collections.abc import Callable, Iterator

from nvflare.apis.client import Client
from nvflare.apis.event_type import EventType
from nvflare.apis.fl_constant import ReturnCode
from nvflare.apis.fl_context import FLContext, FLContextManager
from nvflare.apis.impl.wf_comm_server import WFCommServer
from nvflare.apis.shareable import Shareable, make_reply
from nvflare.apis.signal import Signal
from nvflare.app_common.utils.fl_model_utils import FLModelUtils
from nvflare.fuel.utils import fobs
from nvflare.private.fed.utils.fed_utils import nvflare_fobs_initialize

from fedtrain.adapters.nvflare import AlignedController, AlignedExecutor
from tests.adding import NUM_CLIENTS, add, make_aligner, weights

NAMES = [f"site-{number}" for number in range(NUM_CLIENTS)]

Tamper = Callable[[Shareable], Shareable]


class Adding(AlignedExecutor):
    """Client i adds i + 1 to every value that it gets."""

    def train(self, given, experts, task):
        """Train as in tests/adding.py."""
        return add(given, experts, task)


class Server(AlignedController):
    """Trains the model of tests/adding.py, or given weights."""

    def __init__(self, given=None, **options):
        options = {"clients": NAMES, "timeout": 30, "patience": 0.1, "router_down": "all", **options}
        super().__init__(**options)
        self.given = weights() if given is None else given
        self.seen = []  # what after_round is told

    def make_aligner(self):
        """Return an aligner with one or two experts per client."""
        return make_aligner(len(self.clients))

    def initial_weights(self):
        """Return the given weights."""
        return self.given

    def after_round(self, number, weights, figures):
        """Record the round."""
        self.seen.append((number, weights, figures))


class Sites(WFCommServer):
    """The communicator and engine of a job; whenever the controller waits, all sites do their tasks.

    ``tamper`` are what becomes of replies, by site; ``silent`` take no tasks; ``lost`` are known to be gone.
    """

    def __init__(self, executor: AlignedExecutor | None = None, names=NAMES) -> None:
        super().__init__()
        nvflare_fobs_initialize()
        self.executor = executor or Adding()
        self.names = list(names)
        self.tamper: dict[str, Tamper] = {}
        self.silent: set[str] = set()
        self.lost: set[str] = set()
        self.sent: list[tuple[str, Shareable, int]] = []  # to whom, what, and in how many bytes
        self.contexts = FLContextManager(self, "server", "job")
        self._engine = self

    def run(self, controller: AlignedController, abort: Signal | None = None) -> AlignedController:
        """Run a job to its end; raise the error for which NVFlare would end it."""
        controller.set_communicator(self)
        context = self.new_context()
        controller.initialize(context)
        controller.abort_signal = abort or Signal()
        controller.fl_ctx = context
        controller.run()
        return controller

    def get_clients(self) -> list[Client]:
        """Return the connected sites."""
        return [Client(name, "token") for name in self.names]

    def get_client_disconnect_time(self, client_name: str) -> float | None:
        """Return a disconnect time for lost sites."""
        return 1.0 if client_name in self.lost else None

    def new_context(self) -> FLContext:
        """Return a context as an engine does."""
        return self.contexts.new_context()

    def fire_event(self, event_type: str, fl_ctx: FLContext) -> None:
        """Pass the event to the controller."""
        self.controller.handle_event(event_type, fl_ctx)

    def process_submission(self, client, task_name, task_id, result, fl_ctx) -> None:
        """Process a submission as the server's runner does."""
        self.fire_event(EventType.BEFORE_PROCESS_SUBMISSION, self._context_of(client))
        super().process_submission(client, task_name, task_id, result, fl_ctx)

    def get_num_standing_tasks(self) -> int:
        """Let the sites do their tasks, then return the number of tasks."""
        for name in self.names:
            if name not in self.silent:
                self._serve(Client(name, "token"))
        self.check_tasks()
        return super().get_num_standing_tasks()

    def held(self) -> Iterator[tuple[str, list[int], dict]]:
        """Return which site was sent which tensors and which expert numbers."""
        for name, task, _ in self.sent:
            model = FLModelUtils.from_shareable(task)
            yield name, model.meta["alignsolve"]["experts"], model.params

    def _serve(self, client: Client) -> None:
        self.fire_event(EventType.BEFORE_PROCESS_TASK_REQUEST, self._context_of(client))
        name, number, task = self.process_task_request(client, self.new_context())
        if not name:
            return
        sent = fobs.dumps(task)
        self.sent.append((client.name, fobs.loads(sent), len(sent)))
        reply = self.tamper.get(client.name, lambda reply: reply)(self._execute(name, fobs.loads(sent)))
        self.process_submission(client, name, number, fobs.loads(fobs.dumps(reply)), self.new_context())

    def _context_of(self, client: Client) -> FLContext:
        """Return the context of the server's runner for a site's request."""
        context = self.new_context()
        context.set_peer_context(FLContextManager(self, client.name, "job").new_context())
        return context

    def _execute(self, name: str, task: Shareable) -> Shareable:
        """Run an executor as NVFlare's ClientRunner does: exceptions become return codes."""
        try:
            return self.executor.execute(name, task, FLContext(), Signal())
        except RuntimeError:
            return make_reply(ReturnCode.EXECUTION_RESULT_ERROR)
        except ValueError:
            return make_reply(ReturnCode.EXECUTION_EXCEPTION)


def assigned_in(sites: Sites, last: int | None = None) -> dict[int, list[int]]:
    """Return which site was sent which experts, read from the tensors."""
    sent = list(sites.held())[-last:] if last else list(sites.held())
    return {
        NAMES.index(name): sorted(int(key.split(".")[1]) for key in params if key.startswith("experts."))
        for name, _, params in sent
    }


def changed(change: Callable[[dict, dict], object]) -> Tamper:
    """Return a site that changes its tensors and measures before it sends them."""

    def tamper(reply: Shareable) -> Shareable:
        model = FLModelUtils.from_shareable(reply)
        change(model.params, model.meta["alignsolve"])
        return FLModelUtils.to_shareable(model)

    return tamper
