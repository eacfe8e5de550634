use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sqlx::{Connection as _, Executor as _, PgConnection};

use super::{DatabaseWrite, Moment, PostgresProxy, Target};
use crate::people::home;
use crate::postgres::{Durability, Postgres};
use crate::scratch;

const BOUND: Duration = Duration::from_secs(30);

struct Place {
    proxy: PostgresProxy,
    postgres: Postgres,
    url: String,
    dir: std::path::PathBuf,
}

impl Place {
    async fn start() -> Self {
        let dir = scratch::folder("postgres-proxy").unwrap();
        let postgres = Postgres::start(&home(&dir).unwrap(), &dir, Durability::Forgotten).await.unwrap();
        postgres
            .sql("postgres", "create table t (id int primary key, n int); insert into t values (1, 0)")
            .unwrap();
        let proxy = PostgresProxy::start(postgres.port());
        let port = proxy.open("a").unwrap();
        let direct = postgres.admin_url("postgres");
        let url = direct.replace(&format!(":{}/", postgres.port()), &format!(":{port}/"));
        Self { proxy, postgres, url, dir }
    }

    async fn connect(&self) -> PgConnection {
        PgConnection::connect(&self.url).await.unwrap()
    }

    fn seen(&self) -> Vec<String> {
        self.proxy.trace().iter().map(ToString::to_string).collect()
    }

    /// Adds one; whether anybody was told that it is done, how often something was killed, and what is there then.
    async fn adds_one(&self, moment: Moment) -> (bool, usize, String) {
        let kills = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&kills);
        let write = DatabaseWrite { actor: "a".into(), what: "update t n".to_owned(), nth: 1 };
        let strike = Arc::new(move || {
            counter.fetch_add(1, Ordering::Relaxed);
        });
        let mut db = self.connect().await;
        self.proxy.forget();
        self.proxy.aim(Target { write, follows: None, moment, strike });
        let told = sqlx::query("update t set n = n + $1 where id = 1").bind(1).execute(&mut db).await.is_ok();
        self.proxy.struck(BOUND).await.unwrap();
        let there = self.postgres.sql("postgres", "select n from t where id = 1").unwrap();
        (told, kills.load(Ordering::Relaxed), there.trim().to_owned())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_changed_is_seen_and_struck_before_it_is_there_or_after() {
    let place = Place::start().await;
    let mut db = place.connect().await;
    sqlx::query("update t set n = $1 where id = $2").bind(0).bind(1).execute(&mut db).await.unwrap();
    sqlx::query("update t set n = 1 where id = $1").bind(7).execute(&mut db).await.unwrap();
    db.execute("select * from t for update").await.unwrap();
    assert_eq!(place.seen(), ["a: update t n"]);

    let mut tx = db.begin().await.unwrap();
    sqlx::query("insert into t values ($1, 0)").bind(2).execute(&mut *tx).await.unwrap();
    tx.rollback().await.unwrap();
    let mut tx = db.begin().await.unwrap();
    tx.execute("select 1").await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(place.seen().len(), 1, "nothing that is there for good");
    let mut tx = db.begin().await.unwrap();
    sqlx::query("insert into t values ($1, 0)").bind(2).execute(&mut *tx).await.unwrap();
    sqlx::query("delete from t where id = $1").bind(2).execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(place.seen(), ["a: update t n", "a: commit of insert t, delete t"]);

    assert_eq!(place.adds_one(Moment::Before).await, (false, 1, "0".to_owned()));
    assert_eq!(place.adds_one(Moment::After).await, (false, 1, "1".to_owned()));
    let dir = place.dir.clone();
    drop(place);
    std::fs::remove_dir_all(dir).unwrap();
}
