//! What the log promises on a disk that works.

use super::*;
use crate::net::SystemClock;

#[tokio::test]
async fn numbers_entries_in_the_order_of_the_calls() {
    let (log, opened) = open(&FaultyDisk::new()).unwrap();
    assert_eq!(opened, Opened { size: 0, fresh: true, clean: false, recovered_from_wal: 0 });
    append_many(&log, 0, 100, 300).await.unwrap();
    assert_eq!(log.durable_size(), 100);
    assert_eq!(*log.watch_size().borrow(), 100);
    assert_eq!(read_all(&log), (0..100).map(|number| entry(number, 300)).collect::<Vec<_>>());
    audit(&log);
}

#[tokio::test]
async fn reads_from_memory_segments_and_bundles_alike() {
    let disk = FaultyDisk::new();
    let (log, _) = open(&disk).unwrap();
    // Two megabytes over a tail of 64 KiB and segments of 256 KiB.
    append_many(&log, 0, 1_000, 2_000).await.unwrap();
    let wanted: Vec<_> = (0..1_000).map(|number| entry(number, 2_000)).collect();
    assert_eq!(read_all(&log), wanted);
    log.checkpoint_now().await.unwrap();
    assert_eq!(read_all(&log), wanted);
    audit(&log);
    assert_eq!(log.read(1_000, 10, 10).unwrap(), []);
    assert_eq!(log.read(5, 0, 10).unwrap(), []);
    assert_eq!(log.read(5, 10, 1).unwrap().len(), 1);
    assert_eq!(log.read(997, 10, 1 << 20).unwrap().len(), 3);
}

#[tokio::test]
async fn reads_what_bundles_hold_when_the_tile_beside_them_is_gone() {
    let disk = FaultyDisk::new();
    let (log, _) = open(&disk).unwrap();
    append_many(&log, 0, 600, 2_000).await.unwrap();
    log.checkpoint_now().await.unwrap();
    audit(&log);
    // A bundle that was not read before, so that no memory of it helps.
    append_many(&log, 600, 1_200, 2_000).await.unwrap();
    log.checkpoint_now().await.unwrap();
    disk.remove_file(Path::new("/data/log/tile/0/002")).unwrap();
    assert_eq!(read_all(&log).len(), 1_200);
    assert!(log.tiles().tile(0, 2, 256).is_err());
}

#[tokio::test]
async fn unlinks_segments_only_when_full_bundles_hold_their_entries() {
    let disk = FaultyDisk::new();
    let (log, _) = open(&disk).unwrap();
    append_many(&log, 0, 500, 2_000).await.unwrap();
    let segments = || disk.list(Path::new("/data/wal")).unwrap().into_iter().filter(|name| name != "spare.seg").count();
    let before = segments();
    assert!(before >= 4, "{before}");
    log.checkpoint_now().await.unwrap();
    // Entries from 256 on lie in a partial bundle: 244 of 2,016 bytes take two segments or three.
    assert!(segments() < before && segments() >= 2);
    let first = disk.list(Path::new("/data/wal")).unwrap()[0].clone();
    assert!(first.strip_suffix(".seg").unwrap().parse::<u64>().unwrap() <= 256);
    audit(&log);
}

#[tokio::test]
async fn goes_on_after_a_close_and_after_a_drop() {
    let disk = FaultyDisk::new();
    let (log, _) = open(&disk).unwrap();
    let (origin, epoch) = (log.instance().origin.clone(), log.signing_key().epoch);
    let (root, receipt) = (log.signing_key().root.public(), log.signing_key().receipt.public());
    append_many(&log, 0, 300, 500).await.unwrap();
    log.close().await.unwrap();
    log.close().await.unwrap();
    assert!(matches!(log.reserve().await, Err(RecordError::Closed)));
    assert!(matches!(log.checkpoint_now().await, Err(RecordError::Closed)));
    assert_eq!(read_all(&log).len(), 300);
    drop(log);

    let (log, opened) = open(&disk).unwrap();
    assert_eq!(opened, Opened { size: 300, fresh: false, clean: true, recovered_from_wal: 0 });
    assert_eq!(log.instance().origin, origin);
    assert_eq!(log.signing_key().root.public(), root);
    assert_eq!(log.signing_key().epoch, epoch + 1);
    let keys: Vec<_> = log.receipt_keys().unwrap().into_iter().map(|run| (run.epoch, run.key)).collect();
    assert_eq!(keys, [(epoch, receipt.clone()), (epoch + 1, log.signing_key().receipt.public())]);
    assert_ne!(log.signing_key().receipt.public(), receipt);
    append_many(&log, 300, 310, 500).await.unwrap();
    drop(log);

    let (log, opened) = open(&disk).unwrap();
    assert_eq!(opened, Opened { size: 310, fresh: false, clean: false, recovered_from_wal: 10 });
    assert_eq!(read_all(&log), (0..310).map(|number| entry(number, 500)).collect::<Vec<_>>());
    log.checkpoint_now().await.unwrap();
    audit(&log);
}

#[tokio::test]
async fn partial_files_go_when_the_full_one_is_there() {
    let disk = FaultyDisk::new();
    let (log, _) = open(&disk).unwrap();
    append_many(&log, 0, 10, 50).await.unwrap();
    let early = log.checkpoint_now().await.unwrap();
    append_many(&log, 10, 20, 50).await.unwrap();
    log.checkpoint_now().await.unwrap();
    for row in ["0", "entries"] {
        assert_eq!(disk.list(&Path::new("/data/log/tile").join(row).join("000.p")).unwrap(), ["10", "20"]);
    }
    append_many(&log, 20, 257, 50).await.unwrap();
    let late = log.checkpoint_now().await.unwrap();
    for row in ["0", "entries"] {
        assert_eq!(disk.list(&Path::new("/data/log/tile").join(row)).unwrap(), ["000", "001.p"]);
    }
    // The published tiles of the new size still prove the old one.
    let proof = tree::consistency_proof(&log.tiles().tree(late.size), early.size, late.size).unwrap();
    assert!(tree::verify_consistency(&proof, (early.size, early.root), (late.size, late.root)));
    assert_eq!(disk.list(Path::new("/data/cp.prev")).unwrap(), ["10", "20", "257"]);
    audit(&log);
}

#[tokio::test]
async fn keeps_as_many_checkpoints_as_configured() {
    let disk = FaultyDisk::new();
    let config = Config { checkpoints_kept: 3, ..config("/data") };
    let (log, _) = open_with(&config, &disk).unwrap();
    for number in 0..6 {
        append(&log, entry(number, 50)).await.unwrap();
        log.checkpoint_now().await.unwrap();
    }
    assert_eq!(disk.list(Path::new("/data/cp.prev")).unwrap(), ["4", "5", "6"]);
    drop(log);
    let (log, _) = open_with(&config, &disk).unwrap();
    append(&log, entry(6, 50)).await.unwrap();
    log.checkpoint_now().await.unwrap();
    assert_eq!(disk.list(Path::new("/data/cp.prev")).unwrap(), ["5", "6", "7"]);
}

#[tokio::test]
async fn the_timer_publishes_checkpoints_on_a_real_disk() {
    let scratch = Scratch::new();
    let config = Config { checkpoint_interval_ms: 5, ..config(scratch.path().join("data")) };
    let (log, _) = Log::open(&config, Arc::new(RealDisk), Arc::new(SystemClock::new())).unwrap();
    let mut checkpoints = log.watch_checkpoint();
    for number in 0..3 {
        append(&log, entry(number, 100)).await.unwrap();
        let size =
            |checkpoint: &Option<Arc<super::super::Checkpoint>>| checkpoint.as_ref().is_some_and(|it| it.size > number);
        checkpoints.wait_for(size).await.unwrap();
    }
    log.close().await.unwrap();
    drop(log);
    let (log, opened) = Log::open(&config, Arc::new(RealDisk), Arc::new(SystemClock::new())).unwrap();
    assert!(opened.clean);
    audit(&log);
}

#[tokio::test]
async fn refuses_entries_that_no_bundle_can_hold() {
    let (log, _) = open(&FaultyDisk::new()).unwrap();
    assert!(matches!(append(&log, Bytes::new()).await, Err(RecordError::EntrySize(0))));
    assert!(matches!(append(&log, Bytes::from(vec![0; 65_536])).await, Err(RecordError::EntrySize(65_536))));
    for number in 0..20 {
        assert_eq!(append(&log, entry(number, 65_535)).await.unwrap(), number);
    }
    log.checkpoint_now().await.unwrap();
    audit(&log);
}

#[test]
fn callers_without_a_runtime_wait_too() {
    let (log, _) = open(&FaultyDisk::new()).unwrap();
    let appended = log.append(log.try_reserve().unwrap(), entry(0, 40));
    assert_eq!(appended.durable_blocking().unwrap(), 0);
}

#[tokio::test]
async fn slots_are_room_for_the_longest_entry_and_come_back_unused() {
    let (log, _) = open(&FaultyDisk::new()).unwrap();
    log.watch_spare().wait_for(|spare| *spare).await.unwrap();
    // Three of the longest entries fit a segment of 256 KiB, and there is a spare.
    let slots: Vec<_> = (0..6).map(|_| log.try_reserve().unwrap()).collect();
    assert!(matches!(log.try_reserve(), Err(RecordError::QueueFull)));
    drop(slots);
    let slots: Vec<_> = (0..6).map(|_| log.try_reserve().unwrap()).collect();
    let appended: Vec<_> = slots.into_iter().map(|slot| log.append(slot, entry(1, 65_535))).collect();
    for (index, appended) in (0..).zip(appended) {
        assert_eq!(appended.durable().await.unwrap(), index);
    }
}

#[tokio::test]
async fn many_tasks_append_at_once() {
    let scratch = Scratch::new();
    let (log, _) = Log::open(&config(scratch.path()), Arc::new(RealDisk), clock()).unwrap();
    let tasks: Vec<_> = (0..16)
        .map(|task| {
            let log = log.clone();
            tokio::spawn(async move {
                let mut indexes = Vec::new();
                for number in 0..50 {
                    indexes
                        .push((append(&log, entry(task * 1_000 + number, 700)).await.unwrap(), task * 1_000 + number));
                }
                indexes
            })
        })
        .collect();
    let mut seen = Vec::new();
    for task in tasks {
        let indexes = task.await.unwrap();
        assert!(indexes.is_sorted());
        seen.extend(indexes);
    }
    seen.sort_unstable();
    log.close().await.unwrap();
    let entries = read_all(&log);
    assert_eq!(entries.len(), 800);
    for ((index, number), stored) in seen.into_iter().zip(&entries) {
        assert_eq!(entries[usize::try_from(index).unwrap()], entry(number, 700));
        assert_eq!(*stored, entry(number, 700));
    }
    audit(&log);
}
