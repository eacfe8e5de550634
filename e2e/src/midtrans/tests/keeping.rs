//! The book in a file.

use std::fs::OpenOptions;
use std::io::Write as _;

use super::merchant::{Merchant, text};
use crate::midtrans::{Act, Method, Verb};

#[tokio::test]
async fn the_book_is_the_same_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("book.jsonl");
    let (merchant, gateway) =
        Merchant::with(|usual| crate::midtrans::Settings { book: Some(path.clone()), ..usual }).await;
    for id in ["paid", "refunded", "open", "untouched"] {
        merchant.order(&gateway, id, 50_000).await;
    }
    gateway.act(&Act::pay("paid", Method::BcaVa)).unwrap();
    gateway.act(&Act::pay("refunded", Method::Gopay)).unwrap();
    gateway.act(&Act::new(Verb::Refund, "refunded").amount(20_000)).unwrap();
    gateway.act(&Act::new(Verb::Pick, "open")).unwrap();
    gateway.advance(3600);
    let (book, now) = (gateway.book(), gateway.now());
    drop(gateway);
    // As a program leaves it that is killed while it writes.
    write!(OpenOptions::new().append(true).open(&path).unwrap(), "{{\"order\": {{").unwrap();

    let (merchant, gateway) =
        Merchant::with(|usual| crate::midtrans::Settings { book: Some(path), ..usual }).await;
    assert_eq!(gateway.book(), book);
    assert_eq!(gateway.total(), 80_000);
    assert!(gateway.now() >= now);
    gateway.act(&Act::new(Verb::Settle, "open")).unwrap();
    gateway.act(&Act::new(Verb::Refund, "refunded")).unwrap();
    merchant.order(&gateway, "untouched", 60_000).await;
    assert_eq!(text(&merchant.status(&gateway, "refunded").await, "transaction_status"), "refund");
    let ids: Vec<u64> = merchant.status(&gateway, "refunded").await["refunds"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["refund_chargeback_id"].as_u64().unwrap())
        .collect();
    assert!(ids[0] < ids[1], "{ids:?}");
    assert_eq!(gateway.total(), 100_000);
}
