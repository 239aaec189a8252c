//! Syslog over connections: framing, and events behind a connection that broke.

use std::time::Duration;

use countersign::export::Confirmation;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use super::compliance::{batch, build};
use crate::harness::{Folder, PATIENCE};

fn exporter(address: std::net::SocketAddr, more: &str) -> String {
    format!("{{ type: syslog, address: '{address}', timeout_ms: 2000{more} }}")
}

/// Reads messages that are kept apart by their length (RFC 6587 §3.4.1).
async fn messages(stream: &mut TcpStream, count: usize) -> Vec<String> {
    let mut found = Vec::new();
    for _ in 0..count {
        let mut length = 0;
        loop {
            match stream.read_u8().await.unwrap() {
                b' ' => break,
                digit => length = length * 10 + usize::from(digit - b'0'),
            }
        }
        let mut message = vec![0; length];
        stream.read_exact(&mut message).await.unwrap();
        found.push(String::from_utf8(message).unwrap());
    }
    found
}

#[tokio::test]
async fn messages_of_a_broken_connection_are_sent_again() {
    let (listener, folder) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), Folder::new());
    let destination = build(&folder, &exporter(listener.local_addr().unwrap(), ", transport: tcp")).unwrap();
    let first = destination.send(&batch(0..3)).await.unwrap().ticket.unwrap();
    let (mut stream, _) = listener.accept().await.unwrap();
    let read = messages(&mut stream, 3).await;
    assert!(read[0].starts_with("<108>1 2026-11-20T") && read[2].ends_with("\"number\":2}"), "{read:?}");
    let asking = async {
        while destination.confirm(&[first]).await.unwrap() != [Confirmation::Arrived] {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.expect("every byte was acknowledged");
    // The receiver dies with a batch on its way.
    let second = destination.send(&batch(3..5)).await.unwrap().ticket.unwrap();
    drop(stream);
    let asking = async {
        while !matches!(destination.confirm(&[second]).await.unwrap()[..], [Confirmation::Lost(_)]) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.expect("the connection is gone");
    // The next batch comes over a new connection.
    let (sent, accepted) = tokio::join!(async { destination.send(&batch(3..5)).await }, listener.accept());
    assert!(sent.unwrap().ticket.unwrap() > second);
    assert_eq!(messages(&mut accepted.unwrap().0, 2).await.len(), 2);
}

#[tokio::test]
async fn datagrams_hold_one_message_each() {
    let (socket, folder) = (UdpSocket::bind("127.0.0.1:0").await.unwrap(), Folder::new());
    let more = ", transport: udp, format: rfc3164, hostname: proxy";
    let destination = build(&folder, &exporter(socket.local_addr().unwrap(), more)).unwrap();
    let delivery = destination.send(&batch(0..2)).await.unwrap();
    assert_eq!(delivery.ticket, None);
    let mut buffer = [0; 2_000];
    let length = socket.recv(&mut buffer).await.unwrap();
    let message = std::str::from_utf8(&buffer[..length]).unwrap();
    assert!(message.starts_with("<108>Nov 20 ") && message.contains(" proxy countersign["), "{message}");
}

#[tokio::test]
async fn nobody_listening_is_a_failure_that_time_may_heal() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, folder) = (listener.local_addr().unwrap(), Folder::new());
    drop(listener);
    let destination = build(&folder, &exporter(address, ", transport: tcp")).unwrap();
    let error = destination.send(&batch(0..1)).await.unwrap_err();
    assert!(matches!(error, countersign::export::SendError::Later { .. }), "{error}");
}
