//! TEMPORARY
use std::sync::{Arc, Mutex, PoisonError};
use std::collections::HashMap;
use super::entry::*;
use super::*;
use crate::model::*;
use crate::net::random_bytes;

#[derive(Clone)]
pub struct Recorder(Arc<Inner>);
struct Inner { log: Log, clock: Arc<dyn Clock>, salts: SaltKey, chains: Mutex<HashMap<SessionId, Arc<Chain>>> , run_first: u64 }
pub struct Chain { id: SessionId, number: u64, link: Mutex<(u64, Option<Digest>)> }
pub struct Reservation(Slot, Slot);
pub struct Recovered { pub open: u64 }
pub struct Decided { recorder: Recorder, chain: Arc<Chain>, blocks: Blocks, action: ActionId, receipt: ReceiptId, hex: [u8; 64], waiting: Option<Appended>, outcome: Option<Slot>, leaf: Digest, verdict: Verdict, enforced: bool }
pub struct DecisionFacts<'a> { pub call: &'a Call, pub identity: &'a Identity, pub context: &'a SessionContext, pub decision: &'a Decision, pub forwarded: Option<&'a [u8]>, pub tool: Option<Digest>, pub parameters_mode: ParametersMode }
pub struct ControlFact(String);
impl ControlFact { pub fn stop() -> Self { Self("stop".into()) } pub fn policies_loaded<'a>(_h: Digest, _p: impl Iterator<Item = &'a crate::decide::PolicySummary>) -> Self { Self("policies".into()) } }

impl Recorder {
    pub fn start(log: Log, opened: &Opened, clock: Arc<dyn Clock>, _c: &Config) -> Result<(Self, Recovered), RecordError> {
        let key: [u8; 32] = random_bytes().unwrap();
        Ok((Self(Arc::new(Inner { log, clock, salts: SaltKey::new(&key), chains: Mutex::default(), run_first: opened.size })), Recovered { open: 0 }))
    }
    pub async fn reserve(&self) -> Result<Reservation, RecordError> { Ok(Reservation(self.0.log.reserve().await?, self.0.log.reserve().await?)) }
    pub fn chain(&self, session: &SessionId) -> Arc<Chain> {
        let mut chains = self.0.chains.lock().unwrap_or_else(PoisonError::into_inner);
        let n = chains.len() as u64 + 1;
        Arc::clone(chains.entry(session.clone()).or_insert_with(|| Arc::new(Chain { id: session.clone(), number: n, link: Mutex::new((0, None)) })))
    }
    pub fn decided(&self, r: Reservation, chain: &Arc<Chain>, f: DecisionFacts<'_>) -> Decided {
        let mut blocks = Blocks::new();
        let (action, _) = ActionBlock::of(&ActionFacts { call: f.call, forwarded: f.forwarded, mode: f.parameters_mode, tool_pin: f.tool }, &self.0.salts);
        let hex = action.parameters.hash.hex_digits();
        blocks.add(Member::Action, &action).unwrap();
        blocks.add(Member::Identity, &IdentityBlock::of(f.identity)).unwrap();
        blocks.add(Member::Context, &ContextBlock::of(f.context, &f.call.action.id, &self.0.salts)).unwrap();
        blocks.add(Member::Decision, &DecisionBlock::of(f.decision, &f.context.signals, None)).unwrap();
        let (verdict, enforced) = standing(f.decision);
        let (receipt, waiting, leaf) = self.write("decision", chain, &blocks, f.call.action.id.as_str(), hex, r.0);
        Decided { recorder: self.clone(), chain: Arc::clone(chain), blocks, action: f.call.action.id.clone(), receipt, hex, waiting: Some(waiting), outcome: Some(r.1), leaf, verdict, enforced }
    }
    fn write(&self, kind: &'static str, chain: &Chain, blocks: &Blocks, subject: &str, hex: [u8; 64], slot: Slot) -> (ReceiptId, Appended, Digest) {
        let log = &self.0.log; let inst = log.instance();
        let now = self.0.clock.now();
        let receipt = ReceiptId::mint(now, random_bytes().unwrap());
        let mono = self.0.clock.monotonic_ns().to_string();
        let mut link = chain.link.lock().unwrap_or_else(PoisonError::into_inner);
        let header = EntryHeader { kind, log: &LogBlock { epoch: log.signing_key().epoch, origin: (&*inst.origin).into(), run_first: self.0.run_first }, receipt_id: receipt.as_str(),
            session: &SessionBlock { chain: chain.number, close: false, id: chain.id.as_str().into(), prev: link.1, prev_origin: None, seq: link.0, vault_day: None }, subject, subject_hex: hex,
            time: &TimeBlock { boot_id: (&*inst.boot_id).into(), mono_ns: mono.into(), run_id: inst.run_id.as_str().into(), wall: now } };
        let payload = write_blocks(&header, blocks).unwrap();
        let sealed = seal(&payload, &[&log.signing_key().receipt]);
        *link = (link.0 + 1, Some(sealed.leaf_hash));
        (receipt, log.append(slot, sealed.bytes), sealed.leaf_hash)
    }
    pub async fn control(&self, _f: ControlFact) -> Result<ReceiptId, RecordError> { Ok(ReceiptId::mint(self.0.clock.now(), [0; 10])) }
}
impl Decided {
    pub async fn durable(&mut self) -> Result<(), RecordError> { match self.waiting.take() { Some(w) => w.durable().await.map(drop), None => Ok(()) } }
    pub fn receipt(&self) -> &ReceiptId { &self.receipt }
    pub fn action(&self) -> &ActionId { &self.action }
    pub fn complete(mut self, o: Outcome) -> Appended { self.finish(&o).unwrap() }
    fn finish(&mut self, o: &Outcome) -> Option<Appended> {
        let slot = self.outcome.take()?;
        let block = OutcomeBlock::of(o, (self.verdict, self.enforced), self.leaf, &self.action, &self.recorder.0.salts);
        self.blocks.add(Member::Outcome, &block).unwrap();
        Some(self.recorder.write("outcome", &self.chain, &self.blocks, self.action.as_str(), self.hex, slot).1)
    }
}
