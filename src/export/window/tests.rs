//! The window against random courses of events: nothing is lost, nothing is settled twice, the cursor tells the truth.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::model::{EventType, Severity};

/// Entry `index` of a log: every seventh has two events, every fifth is urgent, every eleventh has none.
fn entry(index: u64) -> Prepared {
    let events = if index.is_multiple_of(11) { 0 } else { 1 + usize::from(index.is_multiple_of(7)) };
    let severity = if index.is_multiple_of(5) { Severity::High } else { Severity::Low };
    let item = |ordinal: usize| Item {
        id: format!("{index}:{ordinal}"),
        event_type: EventType::Action,
        severity,
        time: Timestamp::from_secs(index),
        session: None,
        index,
        ordinal,
        origin: "log".into(),
        rendered: "0123456789".into(),
        unfit: None,
    };
    Prepared {
        index,
        leaf: Digest::of(&index.to_be_bytes()),
        items: (0..events).map(|ordinal| Arc::new(item(ordinal))).collect(),
        filtered: 0,
        counted: true,
    }
}

#[derive(Clone, Debug)]
enum Step {
    Crash,
    Fill(u64),
    Overtake(u64),
    PutBack,
    Settle(bool),
    Split,
    Take(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => Just(Step::Crash),
        4 => (1_u64..9).prop_map(Step::Fill),
        2 => (1_u64..30).prop_map(Step::Overtake),
        2 => Just(Step::PutBack),
        5 => any::<bool>().prop_map(Step::Settle),
        1 => Just(Step::Split),
        5 => (1_usize..9).prop_map(Step::Take),
    ]
}

proptest! {
    #[test]
    fn everything_is_settled_once_and_the_cursor_tells_the_truth(steps in prop::collection::vec(step(), 1..80)) {
        let mut window = Window::new(Place::default(), 20, 1_000);
        let mut held: Vec<Vec<Arc<Item>>> = Vec::new();
        let (mut arrived, mut dead) = (BTreeSet::new(), BTreeSet::new());
        let settle = |window: &mut Window, batch: Vec<Arc<Item>>, dies: bool, arrived: &mut BTreeSet<String>, gone: &mut BTreeSet<String>| {
            for item in batch {
                window.settle(&item, if dies { Fate::Dead } else { Fate::Delivered });
                if dies { gone.insert(item.id.clone()) } else { arrived.insert(item.id.clone()) };
            }
        };
        for step in steps {
            match step {
                Step::Fill(count) => for _ in 0..count {
                    if window.has_room() {
                        window.fill(entry(window.read_next()));
                    }
                },
                Step::Overtake(ahead) if window.has_express_room() => {
                    let from = window.scout_next();
                    let found = (from..from + ahead).map(entry).filter(Prepared::is_urgent).collect();
                    window.overtake(from + ahead, found);
                }
                Step::Take(count) if window.waiting() > 0 => {
                    let (batch, is_part) = window.take(count, 45, 1);
                    prop_assert!(!batch.is_empty() && (is_part || batch.len() <= count));
                    prop_assert!(batch.is_sorted_by_key(|item| item.place()));
                    held.push(batch);
                }
                Step::PutBack => if let Some(batch) = held.pop() { window.put_back(batch) },
                Step::Split => if let Some(batch) = held.pop() {
                    let (left, right) = batch.split_at(batch.len() / 2);
                    window.put_back_in_parts(vec![left.to_vec(), right.to_vec()]);
                },
                Step::Settle(dies) => if let Some(batch) = held.pop() { settle(&mut window, batch, dies, &mut arrived, &mut dead) },
                Step::Crash => {
                    held.clear();
                    window = Window::new(window.place(), 20, 1_000);
                }
                Step::Overtake(_) | Step::Take(_) => {}
            }
        }
        // Whatever is left arrives.
        let end = window.scout_next() + 5;
        held.into_iter().for_each(|batch| window.put_back(batch));
        while window.next() < end {
            while window.has_room() && window.read_next() < end {
                window.fill(entry(window.read_next()));
            }
            let (batch, _) = window.take(7, 1_000, 0);
            settle(&mut window, batch, false, &mut arrived, &mut dead);
        }
        let events: Vec<Arc<Item>> = (0..end).flat_map(|index| entry(index).items).collect();
        for item in &events {
            prop_assert!(arrived.contains(&item.id) || dead.contains(&item.id), "{} is lost", item.id);
        }
        let counts = window.counts();
        prop_assert_eq!(counts.delivered + counts.dead, events.len() as u64);
        prop_assert!(window.place().ahead.is_empty() && window.place().ahead_dead.is_empty(), "{:?}", window.place());
        prop_assert_eq!(window.held(), (0, 0));
    }
}
