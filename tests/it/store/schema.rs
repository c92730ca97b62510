//! The schema: the same on both engines, applied whole, never a newer one; open, close, backup.

use std::collections::BTreeMap;

use sqlx::{Connection as _, PgConnection, SqliteConnection};
use tripline::{
    cli::{
        db::{self, Db},
        out::{Format, Out},
    },
    store::{Error, Options, Schema, Store, meta},
};

use super::{file, memory, with_shared_stores, with_stores};
use crate::systems::Database;

/// (table, column) and whether it may be null, with the type in words that both engines share.
type Shape = BTreeMap<(String, String), (bool, &'static str)>;

fn word(ty: &str) -> &'static str {
    match ty {
        "text" | "timestamp with time zone" | "json" | "TEXT" => "text",
        "bigint" | "boolean" | "INTEGER" => "number",
        "bytea" | "BLOB" => "bytes",
        other => panic!("a type that the migrations do not use: {other}"),
    }
}

async fn sqlite_shape(path: &std::path::Path) -> Shape {
    let mut c = SqliteConnection::connect(&format!("sqlite:{}", path.display()))
        .await
        .unwrap();
    let sql = "select m.name, p.name, p.\"notnull\" = 0, p.type from sqlite_schema m join pragma_table_info(m.name) p
        where m.type = 'table' and m.name <> 'schema_migration'";
    let rows: Vec<(String, String, bool, String)> =
        sqlx::query_as(sql).fetch_all(&mut c).await.unwrap();
    rows.into_iter()
        .map(|(t, c, null, ty)| ((t, c), (null, word(&ty))))
        .collect()
}

async fn postgres_shape(c: &mut PgConnection) -> Shape {
    let sql = "select table_name::text, column_name::text, is_nullable = 'YES', data_type::text
        from information_schema.columns where table_schema = current_schema() and table_name <> 'schema_migration'
        and table_name not in (select v.table_name from information_schema.views v where v.table_schema = current_schema())";
    let rows: Vec<(String, String, bool, String)> = sqlx::query_as(sql).fetch_all(c).await.unwrap();
    rows.into_iter()
        .map(|(t, c, null, ty)| ((t, c), (null, word(&ty))))
        .collect()
}

#[tokio::test]
async fn both_engines_have_the_same_tables_columns_and_nullability() {
    let Some(mut database) = Database::open().await else {
        return;
    };
    let store = Store::open(&Options::from_address(&database.url).unwrap())
        .await
        .unwrap();
    store.migrate().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    file(folder.path()).await.close().await;
    let ours = sqlite_shape(&folder.path().join("data/tripline.db")).await;
    assert!(ours.len() > 100, "{}", ours.len());
    assert_eq!(ours, postgres_shape(&mut database.connection).await);
}

#[tokio::test]
async fn a_store_migrates_once_and_is_then_ready() {
    let folder = tempfile::tempdir().unwrap();
    let mut addresses = vec![
        "sqlite::memory:".to_owned(),
        format!("sqlite:{}", folder.path().join("a/b/c.db").display()),
    ];
    addresses.extend(Database::open().await.map(|d| d.url));
    for address in addresses {
        let store = Store::open(&Options::from_address(&address).unwrap())
            .await
            .unwrap();
        assert_eq!(store.schema().await.unwrap(), Schema::Older(0));
        assert!(matches!(
            store.ready().await,
            Err(Error::SchemaTooOld { found: 0, .. })
        ));
        let first = store.migrate().await.unwrap();
        assert_eq!(
            (first.from, i64::try_from(first.applied.len()).unwrap()),
            (0, first.to)
        );
        let again = store.migrate().await.unwrap();
        assert_eq!((again.from, again.applied.len()), (first.to, 0));
        assert_eq!(store.schema().await.unwrap(), Schema::Current);
        store.ready().await.unwrap();
        store.ping().await.unwrap();
        store.close().await;
        assert!(store.ping().await.is_err());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn replicas_that_start_together_migrate_once() {
    let folder = tempfile::tempdir().unwrap();
    // Which of them is first is chance, so a file is made many times.
    let mut addresses: Vec<String> = (0..40)
        .map(|n| format!("sqlite:{}", folder.path().join(format!("{n}.db")).display()))
        .collect();
    addresses.extend(Database::open().await.map(|d| d.url));
    for address in addresses {
        let starts = (0..8).map(|_| {
            let options = Options::from_address(&address).unwrap();
            tokio::spawn(async move {
                Store::open(&options)
                    .await
                    .unwrap()
                    .migrate()
                    .await
                    .unwrap()
                    .applied
                    .len()
            })
        });
        let applied: Vec<usize> = futures::future::join_all(starts)
            .await
            .into_iter()
            .map(Result::unwrap)
            .collect();
        assert_eq!(
            applied.iter().filter(|n| **n > 0).count(),
            1,
            "{address}: {applied:?}"
        );
    }
}

#[tokio::test]
async fn a_newer_or_an_edited_schema_is_refused_and_nothing_is_touched() {
    let folder = tempfile::tempdir().unwrap();
    let mut addresses = vec![format!("sqlite:{}", folder.path().join("t.db").display())];
    addresses.extend(Database::open().await.map(|d| d.url));
    for address in addresses {
        let store = Store::open(&Options::from_address(&address).unwrap())
            .await
            .unwrap();
        let known = store.migrate().await.unwrap().to;
        let newer = format!(
            "insert into schema_migration (version, name, checksum, applied_at) values ({}, 'later', 'x', 'y')",
            known + 1
        );
        raw(&address, &newer).await.unwrap();
        assert_eq!(store.schema().await.unwrap(), Schema::Newer(known + 1));
        let error = store.migrate().await.unwrap_err();
        assert!(matches!(error, Error::SchemaTooNew { .. }), "{error}");
        assert!(
            error.to_string().contains("start the newer Tripline"),
            "{error}"
        );
        assert!(matches!(
            store.ready().await,
            Err(Error::SchemaTooNew { .. })
        ));
        raw(
            &address,
            "delete from schema_migration where name = 'later'",
        )
        .await
        .unwrap();
        store.ready().await.unwrap();
        raw(
            &address,
            "update schema_migration set checksum = 'edited' where version = 1",
        )
        .await
        .unwrap();
        assert!(matches!(
            store.migrate().await,
            Err(Error::SchemaDiffers { version: 1, .. })
        ));
        assert!(matches!(
            store.ready().await,
            Err(Error::SchemaDiffers { version: 1, .. })
        ));
    }
}

/// Runs a statement behind the store's back.
pub(super) async fn raw(address: &str, sql: &str) -> sqlx::Result<()> {
    let sql = sqlx::AssertSqlSafe(sql.to_owned());
    if address.starts_with("sqlite:") {
        let mut c = SqliteConnection::connect(address).await?;
        sqlx::query(sql).execute(&mut c).await?;
        c.close().await
    } else {
        let mut c = PgConnection::connect(address).await?;
        sqlx::query(sql).execute(&mut c).await?;
        c.close().await
    }
}

#[tokio::test]
async fn facts_are_set_and_the_first_of_many_names_the_installation() {
    with_stores(async |store| {
        let mut tx = store.begin().await.unwrap();
        assert_eq!(meta::get(&mut tx, meta::INSTANCE).await.unwrap(), None);
        assert_eq!(
            meta::get_or_set(&mut tx, meta::INSTANCE, "one")
                .await
                .unwrap(),
            "one"
        );
        assert_eq!(
            meta::get_or_set(&mut tx, meta::INSTANCE, "two")
                .await
                .unwrap(),
            "one"
        );
        meta::set(&mut tx, meta::HEARTBEAT, "a").await.unwrap();
        meta::set(&mut tx, meta::HEARTBEAT, "b").await.unwrap();
        assert_eq!(tx.written(), 3);
        let all = meta::all(&mut tx).await.unwrap();
        assert_eq!(
            all,
            [("heartbeat", "b"), ("instance", "one")].map(|(k, v)| (k.to_owned(), v.to_owned()))
        );
        tx.commit().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_reader_writes_nothing() {
    with_shared_stores(async |store| {
        let mut tx = store.read().await.unwrap();
        assert!(meta::set(&mut tx, "a", "b").await.is_err());
    })
    .await;
}

#[tokio::test]
async fn a_reader_sees_one_moment_whatever_is_committed_meanwhile() {
    with_shared_stores(async |store| {
        let mut reader = store.read().await.unwrap();
        assert_eq!(meta::get(&mut reader, "a").await.unwrap(), None);
        let mut writer = store.begin().await.unwrap();
        meta::set(&mut writer, "a", "b").await.unwrap();
        writer.commit().await.unwrap();
        assert_eq!(meta::get(&mut reader, "a").await.unwrap(), None);
        drop(reader);
        let mut later = store.read().await.unwrap();
        assert_eq!(
            meta::get(&mut later, "a").await.unwrap().as_deref(),
            Some("b")
        );
    })
    .await;
}

#[tokio::test]
async fn the_databases_clock_goes() {
    with_stores(async |store| {
        let mut tx = store.begin().await.unwrap();
        let first = tripline::store::now(&mut tx).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        let second = tripline::store::now(&mut tx).await.unwrap();
        assert!(
            second > first,
            "the clock stands still inside a transaction"
        );
        assert!((chrono::Utc::now() - second).num_seconds().abs() < 60);
    })
    .await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_new_file_is_for_its_user_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let store = file(folder.path()).await;
    let mode = |path: &str| {
        folder
            .path()
            .join(path)
            .metadata()
            .unwrap()
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!((mode("data"), mode("data/tripline.db")), (0o700, 0o600));
    assert_eq!(mode("data/tripline.db-wal"), 0o600);
    store.close().await;
}

#[tokio::test]
async fn a_backup_is_a_whole_store_and_is_never_written_over_a_file() {
    let folder = tempfile::tempdir().unwrap();
    for (name, store) in [
        ("memory", memory().await),
        ("file", file(folder.path()).await),
    ] {
        let mut tx = store.begin().await.unwrap();
        meta::set(&mut tx, "a", "before").await.unwrap();
        tx.commit().await.unwrap();
        // A writer that has not committed neither waits for the copy nor gets into it.
        let mut open = None;
        if name == "file" {
            let mut tx = store.begin().await.unwrap();
            meta::set(&mut tx, "a", "not committed").await.unwrap();
            open = Some(tx);
        }
        let to = folder.path().join(format!("{name}.backup"));
        let size = store.backup(&to).await.unwrap();
        assert_eq!(size, to.metadata().unwrap().len());
        assert!(matches!(store.backup(&to).await, Err(Error::Exists(_))));
        drop(open);
        let copy =
            Store::open(&Options::from_address(&format!("sqlite:{}", to.display())).unwrap())
                .await
                .unwrap();
        copy.ready().await.unwrap();
        let mut tx = copy.read().await.unwrap();
        assert_eq!(
            meta::get(&mut tx, "a").await.unwrap().as_deref(),
            Some("before")
        );
        assert!(
            !folder
                .path()
                .join(format!("{name}.backup.partial"))
                .exists()
        );
    }
    if let Some(store) = super::postgres().await {
        let error = store
            .backup(std::path::Path::new("/tmp/x"))
            .await
            .unwrap_err();
        assert!(error.to_string().contains("pg_dump"), "{error}");
    }
}

#[tokio::test]
async fn an_address_that_leads_nowhere_is_an_error_without_its_password() {
    let nowhere = Options::from_address("postgres://u:hunter2@127.0.0.1:1/none").unwrap();
    assert!(!format!("{nowhere} {nowhere:?}").contains("hunter2"));
    let error = Store::open(&nowhere).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert!(!format!("{error} {error:?}").contains("hunter2"));
    assert!(matches!(
        Options::from_address("mysql://a"),
        Err(Error::Address)
    ));
}

#[tokio::test]
async fn the_command_line_migrates_copies_and_says_where_it_stands() {
    let folder = tempfile::tempdir().unwrap();
    let address = format!("sqlite:{}", folder.path().join("t.db").display());
    let options = Options::from_address(&address).unwrap();
    let copy = folder.path().join("copy.db");
    let page = folder.path().join("out");
    let mut out = Out::plain(
        Box::new(std::fs::File::create(&page).unwrap()),
        Format::Table,
    );
    for what in [
        Db::Status,
        Db::Migrate,
        Db::Migrate,
        Db::Status,
        Db::Backup { to: copy.clone() },
    ] {
        db::act(&what, &options, &mut out).await.unwrap();
    }
    let error = db::act(&Db::Backup { to: copy }, &options, &mut out)
        .await
        .unwrap_err();
    assert!(
        format!("{error:#}").contains("exists; a backup is never written over another file"),
        "{error:#}"
    );
    let shown = std::fs::read_to_string(page)
        .unwrap()
        .replace(&folder.path().display().to_string(), "DIR");
    insta::with_settings!({ filters => vec![(r"\d+ bytes", "N bytes"), (r"to \d+: initial.*", "to N: …"), (r"schema \d", "schema N")] }, {
        insta::assert_snapshot!(shown, @r"
        sqlite:DIR/t.db: older (schema N): run `tripline db migrate`
        sqlite:DIR/t.db went from schema N to N: …
        sqlite:DIR/t.db is at schema N already
        sqlite:DIR/t.db: current
        copied sqlite:DIR/t.db to DIR/copy.db (N bytes)
        ");
    });
}
