//! What the log does when the disk fails under it.

use super::*;
use crate::record::disk::{Operation, Survivors};

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

#[tokio::test]
async fn a_failed_sync_poisons_the_log_for_the_life_of_the_process() {
    let disk = FaultyDisk::new();
    let (log, _) = open(&disk).unwrap();
    append_many(&log, 0, 10, 100).await.unwrap();
    disk.fail(Operation::Sync, "00.seg", 0, EIO);
    let mut health = log.watch_health();
    let error = append(&log, entry(10, 100)).await.unwrap_err();
    assert!(matches!(error, RecordError::Poisoned(_)) && error.to_string().contains("no more entries"), "{error}");
    assert!(!*health.wait_for(|healthy| !healthy).await.unwrap());
    assert!(!log.is_healthy());
    assert!(log.poisoned().is_some());
    // The disk works again; the log does not believe it.
    assert!(matches!(log.reserve().await, Err(RecordError::Poisoned(_))));
    assert!(matches!(log.checkpoint_now().await, Err(RecordError::Poisoned(_))));
    assert!(log.close().await.is_err());
    assert_eq!(read_all(&log).len(), 10);
    drop(log);

    // A new process sees the entry in the cache. Once it has shown it, it must not be lost.
    let disk = disk.restart();
    let (log, opened) = open(&disk).unwrap();
    assert_eq!((opened.size, opened.clean), (11, false));
    drop(log);
    let (log, opened) = open(&disk.crash(Survivors::None)).unwrap();
    assert_eq!(opened.size, 11);
    assert_eq!(read_all(&log)[10], entry(10, 100));
}

#[tokio::test]
async fn a_failed_write_poisons_too() {
    for errno in [EIO, ENOSPC] {
        let disk = FaultyDisk::new();
        let (log, _) = open(&disk).unwrap();
        append_many(&log, 0, 5, 100).await.unwrap();
        disk.fail(Operation::Write, "00.seg", 0, errno);
        assert!(matches!(append(&log, entry(5, 100)).await, Err(RecordError::Poisoned(_))));
        drop(log);
        assert_eq!(open(&disk.crash(Survivors::All)).unwrap().1.size, 5);
    }
}

#[tokio::test]
async fn a_disk_that_turns_read_only_ends_the_log() {
    let disk = FaultyDisk::new();
    let (log, _) = open(&disk).unwrap();
    append_many(&log, 0, 5, 100).await.unwrap();
    disk.set_read_only(true);
    assert!(matches!(append(&log, entry(5, 100)).await, Err(RecordError::Poisoned(_))));
    assert!(!log.is_healthy());
    drop(log);
    assert!(matches!(open(&disk), Err(RecordError::Disk { .. })));
    disk.set_read_only(false);
    assert_eq!(open(&disk).unwrap().1.size, 5);
}

#[tokio::test]
async fn a_full_disk_alarms_early_refuses_late_and_recovers() {
    let disk = FaultyDisk::new();
    // Room for 20 closing entries is kept back.
    let config =
        Config { segment_bytes: 4 << 20, first_segment_bytes: 4 << 20, reserved_bytes: 20 * 65_552, ..config("/data") };
    let (log, _) = open_with(&config, &disk).unwrap();
    log.watch_spare().wait_for(|spare| *spare).await.unwrap();
    disk.limit_space(Some(0));
    let mut number = 0;
    let error = loop {
        match log.reserve().await {
            Ok(slot) => assert_eq!(log.append(slot, entry(number, 60_000)).durable().await.unwrap(), number),
            Err(error) => break error,
        }
        number += 1;
        if !*log.watch_spare().borrow() && number < 80 {
            assert!(log.is_healthy(), "the alarm comes a segment before the refusal");
        }
    };
    assert!(matches!(error, RecordError::Full), "{error}");
    assert!(!log.is_healthy());
    assert!(log.poisoned().is_none());
    assert!(number > 100, "{number}");
    // What closes the log still has room.
    for _ in 0..20 {
        let slot = log.try_reserve_last().unwrap();
        assert_eq!(log.append(slot, entry(number, 65_535)).durable().await.unwrap(), number);
        number += 1;
    }
    assert!(matches!(log.try_reserve_last(), Err(RecordError::Full)));
    let mut health = log.watch_health();
    disk.limit_space(None);
    health.wait_for(|healthy| *healthy).await.unwrap();
    assert_eq!(append(&log, entry(number, 60_000)).await.unwrap(), number);
    log.checkpoint_now().await.unwrap();
    audit(&log);
}

#[tokio::test]
async fn want_of_room_for_the_tree_is_waited_out() {
    let disk = FaultyDisk::new();
    let (log, _) = open(&disk).unwrap();
    append_many(&log, 0, 300, 100).await.unwrap();
    disk.fail(Operation::Write, "tile/entries/000.tmp", 0, ENOSPC);
    disk.fail(Operation::Write, "tile/0/001.p", 0, ENOSPC);
    for _ in 0..2 {
        let error = log.checkpoint_now().await.unwrap_err();
        assert!(error.is_out_of_space(), "{error}");
        assert!(log.is_healthy());
    }
    assert_eq!(log.checkpoint_now().await.unwrap().size, 300);
    audit(&log);
}

#[tokio::test]
async fn a_failed_sync_of_the_tree_poisons() {
    for path in ["tile/0/000.p", "log/checkpoint", "cp.prev"] {
        for (operation, errno) in [(Operation::Sync, EIO), (Operation::Sync, ENOSPC), (Operation::Rename, EIO)] {
            let disk = FaultyDisk::new();
            let (log, _) = open(&disk).unwrap();
            append_many(&log, 0, 3, 100).await.unwrap();
            disk.fail(operation, path, 0, errno);
            assert!(log.checkpoint_now().await.is_err(), "{path} {operation}");
            assert!(matches!(log.reserve().await, Err(RecordError::Poisoned(_))), "{path} {operation}");
            drop(log);
            let (log, opened) = open(&disk.crash(Survivors::Some(7))).unwrap();
            assert_eq!(opened.size, 3);
            log.checkpoint_now().await.unwrap();
            audit(&log);
        }
    }
}

#[tokio::test]
async fn a_failed_sync_of_a_spare_poisons_but_want_of_room_for_it_does_not() {
    let disk = FaultyDisk::new();
    disk.fail(Operation::Sync, "spare", 0, ENOSPC);
    let (log, _) = open(&disk).unwrap();
    log.watch_spare().wait_for(|spare| *spare).await.unwrap();
    assert!(log.is_healthy());
    drop(log);

    let disk = FaultyDisk::new();
    disk.fail(Operation::Sync, "spare", 0, EIO);
    let (log, _) = open(&disk).unwrap();
    log.watch_health().wait_for(|healthy| !healthy).await.unwrap();
    assert!(matches!(log.reserve().await, Err(RecordError::Poisoned(_))));
}
