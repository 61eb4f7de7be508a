//! One plugin on one VM, and the VM itself: Envoy's side of everything that is not a stream.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use wasmtime::{Instance, Store, WasmParams, WasmResults};

use super::abi::{linker, status};
use super::clock::Clock;
use super::module::Code;
use super::shared::Shared;
use super::state::{Answer, Call, Callback, Root, State};
use super::stream::Stream;

/// A VM with its one instance: a worker of Envoy.
pub(super) struct Vm {
    pub(super) store: Store<State>,
    instance: Instance,
    next_context: u32,
}

impl Vm {
    fn new(Code { engine, module }: &Code, shared: Rc<RefCell<Shared>>, seed: u64) -> Self {
        let mut store = Store::new(engine, State::new(shared, seed));
        let linker = linker(engine, module).expect("the imports have the types of the ABI");
        let instance = linker.instantiate(&mut store, module).expect("the module can be instantiated");
        let memory = instance.get_memory(&mut store, "memory");
        let allocate = instance.get_typed_func(&mut store, "proxy_on_memory_allocate").ok();
        let state = store.data_mut();
        (state.memory, state.allocate) = (memory, allocate);
        let mut vm = Self { store, instance, next_context: 1 };
        vm.enter::<(), ()>(Callback::Start, 0, "_initialize", ());
        vm
    }

    pub(super) fn new_context(&mut self) -> u32 {
        self.next_context += 1;
        self.next_context - 1
    }

    /// Calls the module. A trap, or a host call that Envoy would refuse, ends the test with what was logged.
    pub(super) fn enter<P: WasmParams, R: WasmResults>(
        &mut self,
        callback: Callback,
        context: u32,
        export: &str,
        params: P,
    ) -> R {
        let function = self.instance.get_typed_func::<P, R>(&mut self.store, export);
        let function = function.unwrap_or_else(|e| panic!("{export} is not exported as the ABI has it: {e}"));
        let state = self.store.data_mut();
        (state.callback, state.context) = (callback, context);
        state.trace.clear();
        match function.call(&mut self.store, params) {
            Ok(result) => result,
            Err(why) => {
                let state = self.store.data();
                panic!("{why:#}\nhost calls so far: {:#?}\nlog: {:#?}", state.trace, state.logs)
            }
        }
    }
}

/// Builds a [`Host`].
pub struct Builder {
    code: Option<Code>,
    config: Vec<u8>,
    shared: Rc<RefCell<Shared>>,
    seed: u64,
}

impl Builder {
    /// Another module than the shipped filter.
    pub fn code(mut self, code: Code) -> Self {
        self.code = Some(code);
        self
    }

    /// The plugin's configuration, any bytes.
    pub fn config(mut self, config: impl AsRef<[u8]>) -> Self {
        self.config = config.as_ref().to_vec();
        self
    }

    /// Another worker of the same Envoy: shared data, metrics and clock are the same.
    pub fn beside(mut self, other: &Host) -> Self {
        self.shared = Rc::clone(&other.vm.borrow().store.data().shared);
        self
    }

    /// Seeds what the module takes for randomness.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The machine's clock instead of the mock one.
    pub fn real_clock(self) -> Self {
        self.shared.borrow_mut().clock = Clock::real();
        self
    }

    /// Starts the VM; the plugin is not configured yet.
    pub fn build(self) -> Host {
        let code = self.code.unwrap_or_else(Code::shipped);
        let vm = Rc::new(RefCell::new(Vm::new(&code, self.shared, self.seed)));
        Host::start(vm, self.config)
    }

    /// Starts the VM and configures the plugin, which must accept.
    pub fn configured(self) -> Host {
        let host = self.build();
        assert!(host.configure(), "the plugin refuses its configuration: {:#?}", host.logs());
        host
    }
}

/// One plugin on one VM. Clones are handles of the same.
#[derive(Clone)]
pub struct Host {
    pub(super) vm: Rc<RefCell<Vm>>,
    pub(super) root: u32,
    configured: Rc<RefCell<Option<bool>>>,
}

impl Host {
    #[expect(clippy::new_ret_no_self)] // reads as a sentence: Host::new().config(…).build()
    /// A host with a VM, shared data and mock clock of its own.
    pub fn new() -> Builder {
        let shared = Rc::new(RefCell::new(Shared::new(Clock::mock())));
        Builder { code: None, config: Vec::new(), shared, seed: 1 }
    }

    /// Another plugin on the same VM, configured.
    pub fn plugin(&self, config: impl AsRef<[u8]>) -> Host {
        let host = Self::start(Rc::clone(&self.vm), config.as_ref().to_vec());
        assert!(host.configure(), "the plugin refuses its configuration: {:#?}", host.logs());
        host
    }

    fn start(vm: Rc<RefCell<Vm>>, configuration: Vec<u8>) -> Host {
        let root = vm.borrow_mut().new_context();
        {
            let mut vm = vm.borrow_mut();
            vm.store.data_mut().roots.insert(root, Root { configuration, tick_ms: None });
            vm.enter::<_, ()>(Callback::Create, root, "proxy_on_context_create", (root, 0u32));
            let started: u32 = vm.enter(Callback::Start, root, "proxy_on_vm_start", (root, 0u32));
            assert_eq!(started, 1, "the VM refuses to start");
        }
        Host { vm, root, configured: Rc::default() }
    }

    /// Hands the configuration over; false if the plugin refuses it.
    pub fn configure(&self) -> bool {
        assert!(self.configured.borrow().is_none(), "Envoy configures a plugin once");
        let mut vm = self.vm.borrow_mut();
        let size = vm.store.data().roots[&self.root].configuration.len() as u32;
        let accepted: u32 = vm.enter(Callback::Configure, self.root, "proxy_on_configure", (self.root, size));
        *self.configured.borrow_mut() = Some(accepted == 1);
        accepted == 1
    }

    /// A new request.
    pub fn stream(&self) -> Stream {
        assert_eq!(
            *self.configured.borrow(),
            Some(true),
            "Envoy sends no traffic to a plugin that is not configured"
        );
        Stream::new(self)
    }

    /// Lets a tick period pass on the mock clock, then ticks.
    pub fn tick(&self) {
        let period = self.tick_ms().expect("Envoy ticks no plugin that did not ask for it");
        self.shared().borrow_mut().clock.advance(Duration::from_millis(period.into()));
        self.vm.borrow_mut().enter::<_, ()>(Callback::Tick, self.root, "proxy_on_tick", (self.root,));
    }

    /// The tick period the plugin asked for.
    pub fn tick_ms(&self) -> Option<u32> {
        self.vm.borrow().store.data().roots[&self.root].tick_ms
    }

    /// The host calls of this VM's last callback, as short strings.
    pub fn last_calls(&self) -> Vec<String> {
        self.vm.borrow().store.data().trace.clone()
    }

    // === HTTP calls ===

    /// Every HTTP call this plugin made, the oldest first.
    pub fn calls(&self) -> Vec<Call> {
        self.calls_of(self.root)
    }

    pub(super) fn calls_of(&self, context: u32) -> Vec<Call> {
        self.state(|s| s.calls.iter().filter(|c| c.context == context).cloned().collect())
    }

    /// The calls still without an answer.
    pub fn open_calls(&self) -> Vec<Call> {
        self.calls().into_iter().filter(|c| !c.answered).collect()
    }

    /// Answers a call.
    pub fn answer(&self, token: u32, status: u16, body: &[u8]) {
        let headers = vec![(":status".to_owned(), status.to_string().into_bytes())];
        self.reply(self.root, token, Answer { headers, body: body.to_vec() });
    }

    /// Lets a call fail: connection refused or timed out. There are no headers then.
    pub fn fail(&self, token: u32) {
        self.reply(self.root, token, Answer { headers: Vec::new(), body: Vec::new() });
    }

    /// Makes Envoy refuse calls at once from now on, as for a cluster it does not know.
    pub fn refuse_calls(&self, refuse: bool) {
        self.vm.borrow_mut().store.data_mut().refuse_calls = refuse.then_some(status::BAD_ARGUMENT);
    }

    pub(super) fn reply(&self, context: u32, token: u32, answer: Answer) {
        let mut vm = self.vm.borrow_mut();
        let state = vm.store.data_mut();
        let call = state.calls.iter_mut().find(|c| c.token == token && c.context == context);
        let call = call.unwrap_or_else(|| panic!("no call {token} was made here"));
        assert!(!std::mem::replace(&mut call.answered, true), "call {token} was answered already");
        let sizes = (context, token, answer.headers.len() as u32, answer.body.len() as u32, 0u32);
        state.answer = Some(answer);
        vm.enter::<_, ()>(Callback::CallResponse, context, "proxy_on_http_call_response", sizes);
        vm.store.data_mut().answer = None;
    }

    // === What Envoy's operator sees ===

    /// A counter's or gauge's value; of a histogram how often it was recorded. 0 if there is none.
    pub fn metric(&self, name: &str) -> u64 {
        let shared = self.shared();
        let shared = shared.borrow();
        let metric = shared.metrics.iter().find(|m| m.name == name);
        metric.map_or(0, |m| if m.kind == super::shared::Kind::Histogram { m.count } else { m.value })
    }

    /// Every metric that counted something, with its value: `dragoman_default_no_body 1`.
    pub fn metrics_with(&self, prefix: &str) -> Vec<String> {
        let shared = self.shared();
        let shared = shared.borrow();
        let mine = shared.metrics.iter().filter(|m| m.name.starts_with(prefix) && m.value > 0);
        mine.map(|m| format!("{} {}", m.name, m.value)).collect()
    }

    /// The VM's log, each line as `level: message`.
    pub fn logs(&self) -> Vec<String> {
        self.state(|s| s.logs.iter().map(|(level, message)| format!("{level}: {message}")).collect())
    }

    /// A value in shared data.
    pub fn shared_data(&self, key: &str) -> Option<Vec<u8>> {
        self.shared().borrow().get(key).map(|(value, _)| value.to_vec())
    }

    /// Puts a value into shared data, as another worker would.
    pub fn set_shared_data(&self, key: &str, value: &[u8]) {
        assert!(self.shared().borrow_mut().set(key, value.to_vec(), 0));
    }

    /// Lets another worker write `key` in the moment before the filter's next write to shared data.
    pub fn race(&self, key: &str, value: &[u8]) {
        self.shared().borrow_mut().racing = Some((key.to_owned(), value.to_vec()));
    }

    /// Moves the mock clock.
    pub fn advance(&self, by: Duration) {
        self.shared().borrow_mut().clock.advance(by);
    }

    /// How far each reading moves the mock clock; a microsecond unless said otherwise.
    pub fn clock_step(&self, by: Duration) {
        self.shared().borrow_mut().clock.set_step(by);
    }

    fn shared(&self) -> Rc<RefCell<Shared>> {
        self.state(|s| Rc::clone(&s.shared))
    }

    fn state<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(self.vm.borrow().store.data())
    }
}
