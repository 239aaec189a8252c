//! Stores that do not add up are not opened.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::*;

const SEGMENT: &str = "/data/wal/00000000000000000000.seg";

/// A log of ten entries, each a write of its own, with a checkpoint over `checkpointed`, ended without a close.
async fn ten_entries(checkpointed: u64) -> FaultyDisk {
    let disk = FaultyDisk::new();
    let (log, _) = open(&disk).unwrap();
    for number in 0..10 {
        append(&log, entry(number, 100)).await.unwrap();
        if number + 1 == checkpointed {
            log.checkpoint_now().await.unwrap();
        }
    }
    drop(log);
    disk
}

/// Where the frame of an entry lies in the first segment: 64 bytes of header, 120 bytes a frame.
fn place(number: usize) -> usize {
    64 + number * 120
}

#[tokio::test]
async fn a_corrupt_middle_is_refused_at_every_byte() {
    let disk = ten_entries(0).await;
    for at in (place(0)..place(9)).step_by(7) {
        // Padding is not evidence.
        if (at - 64) % 120 >= 116 {
            continue;
        }
        let disk = disk.restart();
        assert!(disk.corrupt(Path::new(SEGMENT), at));
        let error = open(&disk).unwrap_err();
        assert!(matches!(error, RecordError::Corrupt { .. }), "byte {at}: {error}");
        // It stays refused.
        assert!(open(&disk).is_err());
    }
}

#[tokio::test]
async fn a_damaged_header_is_refused() {
    let disk = ten_entries(0).await;
    assert!(disk.corrupt(Path::new(SEGMENT), 20));
    assert!(matches!(open(&disk), Err(RecordError::Corrupt { .. })));
}

#[tokio::test]
async fn a_tail_cut_below_the_checkpoint_is_refused() {
    let disk = ten_entries(10).await;
    assert!(disk.corrupt(Path::new(SEGMENT), place(9) + 30));
    let error = open(&disk).unwrap_err();
    assert!(matches!(error, RecordError::Truncated { end: 9, size: 10, .. }), "{error}");

    // The same behind the checkpoint is a torn write.
    let disk = ten_entries(9).await;
    assert!(disk.corrupt(Path::new(SEGMENT), place(9) + 30));
    assert_eq!(open(&disk).unwrap().1.size, 9);
}

#[tokio::test]
async fn a_missing_log_below_the_checkpoint_is_refused() {
    let disk = ten_entries(10).await;
    disk.remove_file(Path::new(SEGMENT)).unwrap();
    assert!(matches!(open(&disk), Err(RecordError::Truncated { .. })));
}

#[tokio::test]
async fn a_rolled_back_checkpoint_does_not_hide_a_cut_tail() {
    let disk = ten_entries(5).await;
    let (log, _) = open(&disk).unwrap();
    log.checkpoint_now().await.unwrap();
    drop(log);
    // An attacker puts the older checkpoint back and cuts the log.
    let old = crate::record::publish::read_file(&disk, Path::new("/data/cp.prev/5")).unwrap().unwrap();
    disk.open_writable(Path::new("/data/log/checkpoint")).unwrap().write_at(&old, 0).unwrap();
    for number in 0..3 {
        assert!(disk.corrupt(Path::new(SEGMENT), place(7 + number) + 30));
    }
    let error = open(&disk).unwrap_err();
    assert!(matches!(error, RecordError::Note { .. } | RecordError::Truncated { size: 10, .. }), "{error}");
}

#[tokio::test]
async fn another_tree_than_the_signed_one_is_refused() {
    for path in ["/data/log/tile/0/000.p/10", "/data/log/checkpoint"] {
        let disk = ten_entries(10).await;
        assert!(disk.corrupt(Path::new(path), 5));
        let error = open(&disk).unwrap_err();
        assert!(matches!(error, RecordError::Root { size: 10 } | RecordError::Note { .. }), "{path}: {error}");
    }
}

#[tokio::test]
async fn another_name_instance_or_directory_is_refused() {
    let disk = ten_entries(0).await;
    let named = Config { name: Some("proxy.example".to_owned()), ..config("/data") };
    assert!(matches!(open_with(&named, &disk), Err(RecordError::Instance { .. })));
    let other = crate::model::InstanceId::parse("not-this-one").unwrap();
    let pinned = Config { instance_id: Some(other), ..config("/data") };
    assert!(matches!(open_with(&pinned, &disk), Err(RecordError::Instance { .. })));
    disk.remove_file(Path::new("/data/instance.json")).unwrap();
    assert!(matches!(open(&disk), Err(RecordError::Corrupt { .. })));
}

#[test]
fn the_origin_is_the_configured_name_and_the_instance() {
    let named = Config { name: Some("proxy.example/team-a".to_owned()), ..config("/data") };
    let (log, _) = open_with(&named, &FaultyDisk::new()).unwrap();
    let instance = log.instance();
    assert_eq!(*instance.origin, *format!("proxy.example/team-a/{}", instance.instance_id));
    for name in ["", "a b", "a+b", "/a", "a/", "a//b", "é", "a\n"] {
        let named = Config { name: Some(name.to_owned()), ..config("/data") };
        assert!(matches!(open_with(&named, &FaultyDisk::new()), Err(RecordError::Config(_))), "{name:?}");
    }
}

#[test]
fn a_configuration_that_cannot_work_is_refused() {
    let base = config("/data");
    for wrong in [
        Config { data_dir: PathBuf::new(), ..base.clone() },
        Config { segment_bytes: 1_000, ..base.clone() },
        Config { first_segment_bytes: 1_000, ..base.clone() },
        Config { reserved_bytes: SEGMENT_BYTES, ..base.clone() },
        Config { queue_entries_max: 0, ..base.clone() },
        Config { checkpoint_interval_ms: 0, ..base.clone() },
        Config { checkpoints_kept: 0, ..base },
    ] {
        assert!(matches!(open_with(&wrong, &FaultyDisk::new()), Err(RecordError::Config(_))), "{wrong:?}");
    }
}

#[tokio::test]
async fn a_held_data_directory_is_refused_and_names_its_holder() {
    let scratch = Scratch::new();
    let (log, _) = Log::open(&config(scratch.path()), Arc::new(RealDisk), clock()).unwrap();
    let error = Log::open(&config(scratch.path()), Arc::new(RealDisk), clock()).unwrap_err();
    assert!(error.to_string().contains(&format!("pid={}", std::process::id())), "{error}");
    assert!(matches!(error, RecordError::Locked { .. }));
    log.close().await.unwrap();
    assert!(Log::open(&config(scratch.path()), Arc::new(RealDisk), clock()).is_ok());
}

#[tokio::test]
async fn key_files_must_be_there_private_and_the_right_ones() {
    let scratch = Scratch::new();
    let open = || Log::open(&config(scratch.path()), Arc::new(RealDisk), clock());
    drop(open().unwrap());
    let root = scratch.path().join("private/root.pem");
    assert_eq!(fs::metadata(&root).unwrap().permissions().mode() & 0o777, 0o600);
    let public: Vec<_> = RealDisk.list(&scratch.path().join("keys")).unwrap();
    assert_eq!(public, ["1.pem", "1.vkey", "log.pem", "log.vkey", "root.pem", "root.vkey"]);
    for name in public {
        assert!(!fs::read_to_string(scratch.path().join("keys").join(name)).unwrap().contains("PRIVATE"));
    }
    for mode in [0o640, 0o604, 0o620] {
        fs::set_permissions(&root, fs::Permissions::from_mode(mode)).unwrap();
        let error = open().unwrap_err();
        assert!(matches!(error, RecordError::Key { .. }) && error.to_string().contains("0600"), "{error}");
    }
    fs::set_permissions(&root, fs::Permissions::from_mode(0o400)).unwrap();
    drop(open().unwrap());
    let moved = scratch.path().join("elsewhere.pem");
    fs::rename(&root, &moved).unwrap();
    assert!(matches!(open(), Err(RecordError::Key { .. })));
    let elsewhere = Config { root_key_file: Some(moved), ..config(scratch.path()) };
    drop(Log::open(&elsewhere, Arc::new(RealDisk), clock()).unwrap());
    let other = Config { root_key_file: Some(scratch.path().join("private/log.pem")), ..config(scratch.path()) };
    let error = Log::open(&other, Arc::new(RealDisk), clock()).unwrap_err();
    assert!(error.to_string().contains("another key"), "{error}");
}
