//! The product's own operations, one function each. What is not there yet says so, and is printed as not measured.
//!
//! Each function makes what the operation needs once and returns a closure that does it once. The closure must put what
//! it reads and what it returns through [`std::hint::black_box`].

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use countersign::model::{Clock, ResultText};
use countersign::net::SystemClock;
use countersign::record::disk::RealDisk;
use countersign::record::{Config, Log, Sealed, redact};

use super::Fallible;
use super::micro::{DECISION, ENTRY_BYTES, INSPECTION, call_text};
use super::scene::{Scene, argument_text, result_text};

/// The result that is looked at.
const INSPECTED_BYTES: usize = 10 << 10;

/// One operation, ready to be done any number of times.
pub(crate) type Operation = Box<dyn FnMut()>;

/// A name and the operation, or why there is none.
type Named = (&'static str, Result<Operation, String>);

/// All of them. `directory` is on the disk that the logs of the run are on.
pub(crate) fn operations(directory: &Path) -> Vec<Named> {
    let told = |operation: Fallible<Operation>| operation.map_err(|error| error.to_string());
    vec![
        ("read a call of 1 KiB (intercept)", told(read())),
        ("evaluate a call against 100 rules, schema included", told(evaluate(100))),
        ("evaluate a call against 10,000 rules, schema included", told(evaluate(10_000))),
        ("build, canonicalise and sign a decision entry", told(entry())),
        ("append to the log until durable, one at a time", told(append(directory))),
        ("redact the arguments of a call of 1 KiB", told(redact())),
        (INSPECTION, told(inspect())),
        (DECISION, told(decision())),
    ]
}

/// `intercept`: bytes to a call.
fn read() -> Fallible<Operation> {
    let text = Bytes::from(call_text());
    Scene::call(&text)?;
    Ok(Box::new(move || drop(black_box(Scene::call(black_box(&text))))))
}

/// `decide`: the pure function, with identity and session context as of a long session.
fn evaluate(rules: usize) -> Fallible<Operation> {
    let scene = Scene::set_up(rules)?;
    let context = scene.context();
    let decision = scene.policies.decide(&scene.input(&context)).0;
    if decision.matched.len() != 1 {
        return Err(format!("the call is not what the rules are about: {decision:?}").into());
    }
    Ok(Box::new(move || drop(black_box(scene.policies.decide(black_box(&scene.input(&context)))))))
}

/// `record`: statement, envelope, hash, signature; no disk.
fn entry() -> Fallible<Operation> {
    let scene = Scene::set_up(100)?;
    let context = scene.context();
    let decision = scene.policies.decide(&scene.input(&context)).0;
    scene.entry(&context, &decision)?;
    Ok(Box::new(move || drop(black_box(scene.entry(black_box(&context), black_box(&decision))))))
}

/// `record`: hand over, wait for the fdatasync, be woken.
fn append(directory: &Path) -> Fallible<Operation> {
    let config = Config { data_dir: directory.join("append-log"), ..Config::default() };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let (log, _) = Log::open(&config, Arc::new(RealDisk), clock)?;
    let entry = Bytes::from(vec![b'e'; ENTRY_BYTES]);
    let append = move || -> Fallible<u64> { Ok(log.append(log.try_reserve()?, entry.clone()).durable_blocking()?) };
    append()?;
    Ok(Box::new(move || drop(black_box(append()))))
}

/// What removes secrets and shortens arguments before they are written.
fn redact() -> Fallible<Operation> {
    let text = argument_text(&call_text())?;
    if redact::json_or_text(&text).count != 0 {
        return Err("there is no secret in these arguments".into());
    }
    Ok(Box::new(move || drop(black_box(redact::json_or_text(black_box(&text))))))
}

/// Classification, provenance and secrets of a text of 10 KiB.
fn inspect() -> Fallible<Operation> {
    let scene = Scene::set_up(1)?;
    let text = ResultText::whole(result_text(INSPECTED_BYTES));
    Ok(Box::new(move || scene.take_in(black_box(&text))))
}

/// Everything between a call that was read and an entry that is ready to be written.
fn decision() -> Fallible<Operation> {
    let scene = Scene::set_up(100)?;
    let decide = move || -> Fallible<Sealed> {
        let context = scene.context();
        let decision = scene.policies.decide(&scene.input(&context)).0;
        scene.entry(&context, &decision)
    };
    decide()?;
    Ok(Box::new(move || drop(black_box(decide()))))
}
