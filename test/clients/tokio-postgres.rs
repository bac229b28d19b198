// tokio-postgres: its own protocol implementation; everything prepared, binary, and pipelined as tasks ask at the same time.
use futures_util::{pin_mut, SinkExt, StreamExt, TryStreamExt};
use std::env;
use std::error::Error;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc;
use tokio_postgres::types::ToSql;
use tokio_postgres::{AsyncMessage, Client, Config, IsolationLevel, NoTls, Row, SimpleQueryMessage};

const BIG: &str = "select i, i * 7919 % 1000003 as j, repeat('x', (i % 50)::int) as t from generate_series(1::bigint, 100000) i";
type Done<T> = Result<T, Box<dyn Error>>;

fn say(step: &str, values: &[String]) {
    println!("{step}\t{}", values.join("|").replace('\n', "<newline>"));
}

fn code(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(told) => format!("{}/{}/{}/{:?}", told.code().code(), told.message(), told.column().unwrap_or(""), told.position()),
        None => error.to_string(),
    }
}

/// Logs in; what the server says out of turn comes through the channel.
async fn connect(password: &str) -> Result<(Client, mpsc::UnboundedReceiver<AsyncMessage>), tokio_postgres::Error> {
    let mut config = Config::new();
    config.host(env::var("PGHOST").unwrap()).port(env::var("PGPORT").unwrap().parse().unwrap());
    config.user(env::var("PGUSER").unwrap()).dbname(env::var("PGDATABASE").unwrap()).password(password);
    let (client, mut connection) = config.connect(NoTls).await?;
    let (heard, hears) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut messages = futures_util::stream::poll_fn(move |cx| connection.poll_message(cx));
        while let Some(Ok(message)) = messages.next().await {
            let _ = heard.send(message);
        }
    });
    Ok((client, hears))
}

async fn fails(db: &Client, text: &str, values: &[&(dyn ToSql + Sync)]) -> String {
    match db.query(text, values).await {
        Ok(_) => "no error".into(),
        Err(error) => code(&error),
    }
}

async fn count(db: &Client, text: &str) -> Done<String> {
    Ok(db.query_one(text, &[]).await?.get::<_, i64>(0).to_string())
}

async fn values(db: &Client, things: &str) -> Done<()> {
    let row = db.query_one("select $1::int + 1, $2::text, $3::float8, $4::bool", &[&41, &"O'Reilly \\ ü€", &1.5f64, &true]).await?;
    say("parameters", &[row.get::<_, i32>(0).to_string(), row.get(1), row.get::<_, f64>(2).to_string(), row.get::<_, bool>(3).to_string()]);
    let row = db.query_one("select $1::text is null, $2::text", &[&None::<String>, &None::<String>]).await?;
    say("nulls", &[row.get::<_, bool>(0).to_string(), row.get::<_, Option<String>>(1).unwrap_or("NULL".into())]);
    let row = db.query_one("select $1::text::numeric::text, $2::text::numeric::text, 'NaN'::numeric::text", &[&"12345678901234567890.123456789", &"-0.00001"]).await?;
    say("numeric", &[row.get(0), row.get(1), row.get(2)]);
    let when = UNIX_EPOCH + Duration::from_micros(1_709_202_896_789_012);
    let row = db.query_one("select $1::timestamptz, $1::timestamptz::text", &[&when]).await?;
    say("timestamptz", &[(row.get::<_, SystemTime>(0) == when).to_string(), row.get(1)]);
    let row = db.query_one("select $1::text::json::text, $1::text::jsonb::text", &[&"{\"a\": [1, 2.50, null], \"b\": \"ü\"}"]).await?;
    say("json", &[row.get(0), row.get(1)]);
    let bytes: &[u8] = &[0, 1, 0, 255, 92, 39];
    let row = db.query_one("select $1::bytea", &[&bytes]).await?;
    say("bytea", &[row.get::<_, Vec<u8>>(0).iter().map(|byte| format!("{byte:02x}")).collect()]);
    let row = db.query_one("select $1::int[], $2::text[]", &[&vec![Some(1), None, Some(3)], &vec![Some("a"), Some("b,c"), None, Some("")]]).await?;
    say("arrays", &[format!("{:?}", row.get::<_, Vec<Option<i32>>>(0)), format!("{:?}", row.get::<_, Vec<Option<String>>>(1))]);
    let row = db.query_one("select $1::text::uuid::text", &[&"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"]).await?;
    say("uuid", &[row.get(0)]);
    // The library asks the server's catalog for the labels of an enum that it does not know.
    let insert = db.prepare(&format!("insert into {things} (id, name, mood) values (1, 'one', 'happy') returning mood")).await?;
    say("enum", &[insert.columns()[0].type_().name().into(), format!("{:?}", insert.columns()[0].type_().kind())]);
    db.execute(&insert, &[]).await?;
    let all = db.prepare(&format!("select id, name, amount, at, doc, raw, list, words, uid from {things} where id = $1")).await?;
    say("types", &all.columns().iter().map(|each| format!("{}:{}", each.name(), each.type_().oid())).collect::<Vec<_>>());
    say("types", &all.params().iter().map(|each| each.name().to_string()).collect::<Vec<_>>());
    let twice = db.prepare("select $1::int * $1").await?;
    for n in 1..=3 {
        say("prepared", &[db.query_one(&twice, &[&n]).await?.get::<_, i32>(0).to_string()]);
    }
    for text in ["insert into {} (id, name) values (2, 'two'), (3, 'three'), (4, 'four')", "update {} set amount = id * 1.5 where id in (2, 3)", "delete from {} where id = 4"] {
        say("counts", &[db.execute(&text.replace("{}", things), &[]).await?.to_string()]);
    }
    Ok(())
}

async fn transactions(db: &mut Client, things: &str) -> Done<()> {
    let tx = db.transaction().await?;
    tx.execute(&format!("insert into {things} (id, name) values (100, 'x')"), &[]).await?;
    tx.rollback().await?;
    say("transaction", &[count(db, &format!("select count(*) from {things} where id = 100")).await?]);
    let mut tx = db.build_transaction().isolation_level(IsolationLevel::Serializable).start().await?;
    let insert = format!("insert into {things} (id, name) values (101, 'x')");
    tx.execute(&insert, &[]).await?;
    let inner = tx.transaction().await?;
    for text in [insert.as_str(), "select 1"] {
        say("transaction", &[code(&inner.execute(text, &[]).await.unwrap_err())]);
    }
    inner.rollback().await?;
    tx.commit().await?;
    say("transaction", &[count(db, &format!("select count(*) from {things} where id = 101")).await?]);
    say("error", &[fails(db, "select 1/0", &[]).await]);
    say("error", &[fails(db, &format!("insert into {things} (id) values ($1)"), &[&5]).await]);
    say("error", &[fails(db, "selec 1", &[]).await]);
    say("error", &[count(db, "select 1::int8").await?]);
    for message in db.simple_query(&format!("select 1; insert into {things} (id, name) values (200, 'x'); select 'last'")).await? {
        match message {
            SimpleQueryMessage::Row(row) => say("multi", &[row.get(0).unwrap_or("NULL").into()]),
            SimpleQueryMessage::CommandComplete(rows) => say("multi", &[rows.to_string()]),
            _ => {}
        }
    }
    let failed = db.simple_query(&format!("insert into {things} (id, name) values (201, 'x'); select 1 / (id - id) from {things}; select 2")).await;
    say("multi", &[code(&failed.unwrap_err())]);
    say("multi", &[count(db, &format!("select count(*) from {things} where id in (200, 201)")).await?]);
    // Asked at the same time: they go out together, and the one that fails takes no other with it.
    let table = format!("select count(*) from {things} where id = 1");
    let (one, two, three) = tokio::join!(count(db, "select 1::int8"), fails(db, "select 1/0", &[]), count(db, &table));
    say("pipeline", &[one?, two, three?]);
    Ok(())
}

async fn cancel(db: &Client) -> Done<()> {
    let (began, token) = (Instant::now(), db.cancel_token());
    let sleep = fails(db, "select pg_sleep(30)", &[]);
    pin_mut!(sleep);
    let outcome = loop {
        tokio::select! {
            outcome = &mut sleep => break outcome,
            _ = tokio::time::sleep(Duration::from_millis(200)) => token.cancel_query(NoTls).await?,
        }
    };
    say("cancel", &[outcome[..5].into(), if began.elapsed().as_secs() < 10 { "in time".into() } else { "late".into() }]);
    say("cancel", &[count(db, "select 1::int8").await?]);
    Ok(())
}

fn add(sums: &mut [i64; 4], row: &Row) {
    sums[0] += 1;
    sums[1] += row.get::<_, i64>(0);
    sums[2] = (sums[2] * 31 + row.get::<_, i64>(1)) % 1_000_000_007;
    sums[3] += row.get::<_, &str>(2).len() as i64;
}

async fn portions(db: &mut Client) -> Done<()> {
    let tx = db.transaction().await?;
    let portal = tx.bind(BIG, &[]).await?;
    let mut sums = [0; 4];
    loop {
        let rows = tx.query_portal(&portal, 1000).await?;
        rows.iter().for_each(|row| add(&mut sums, row));
        if rows.is_empty() {
            break;
        }
    }
    tx.commit().await?;
    say("chunks", &sums.map(|sum| sum.to_string()));
    let mut sums = [0; 4];
    let rows = db.query_raw(BIG, Vec::<String>::new()).await?;
    pin_mut!(rows);
    while let Some(row) = rows.try_next().await? {
        add(&mut sums, &row);
    }
    say("chunks as a stream", &sums.map(|sum| sum.to_string()));
    Ok(())
}

async fn copies(db: &Client, things: &str) -> Done<()> {
    let sink = db.copy_in(&format!("copy {things} (id, name, words) from stdin (format csv)")).await?;
    pin_mut!(sink);
    for part in ["301,\"a,b\",\"{x}\"\n302,", "\"q\"\"q\",\n"] {
        sink.send(std::io::Cursor::new(part.as_bytes())).await?;
    }
    say("copy in", &[sink.finish().await?.to_string()]);
    say("copy in", &[db.query_one(&format!("select array_agg(name order by id)::text from {things} where id > 300"), &[]).await?.get(0)]);
    let out = db.copy_out(&format!("copy (select id, name, words from {things} where id > 300 order by id) to stdout")).await?;
    pin_mut!(out);
    while let Some(part) = out.try_next().await? {
        say("copy out", &[String::from_utf8(part.to_vec())?.replace('\t', "<tab>")]);
    }
    let sink = db.copy_in(&format!("copy {things} (id, name) from stdin")).await?;
    pin_mut!(sink);
    sink.send(std::io::Cursor::new("303\tx\nmany\ty\n".as_bytes())).await?;
    say("copy error", &[code(&sink.finish().await.unwrap_err())]);
    say("copy error", &[count(db, &format!("select count(*) from {things} where id = 303")).await?]);
    Ok(())
}

async fn verbs(db: &Client, peer: &str) -> Done<()> {
    say("verbs", &[db.execute(&format!("create peer {peer} from postgres with ({})", env::var("VERBS_OPTIONS")?), &[]).await?.to_string()]);
    let seen = db.query("show peers", &[]).await?.iter().any(|row| row.get::<_, &str>(0) == peer);
    say("verbs", &[seen.to_string()]);
    say("verbs", &[db.query_one(&format!("execute {peer} $$ select 6 * 7 $$"), &[]).await?.get::<_, i32>(0).to_string()]);
    say("verbs", &[db.execute(&format!("drop peer {peer}"), &[]).await?.to_string(), fails(db, &format!("drop peer {peer}"), &[]).await]);
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Done<()> {
    let schema = env::var("SCHEMA")?;
    let things = format!("{schema}.things");
    let password = env::var("PGPASSWORD")?;
    let (mut db, mut hears) = connect(&password).await?;
    say("login", &[db.query_one("show server_version", &[]).await?.get(0)]);
    say("wrong password", &[code(&connect(&format!("{password}?")).await.err().unwrap())[..5].into()]);
    db.batch_execute("set timezone to 'UTC'").await?;
    say("settings", &[db.query_one("show timezone", &[]).await?.get(0)]);
    say("ddl", &[db.execute(&format!("create table {schema}.extra (id int)"), &[]).await?.to_string(), db.execute(&format!("drop table {schema}.extra"), &[]).await?.to_string()]);
    values(&db, &things).await?;
    transactions(&mut db, &things).await?;
    cancel(&db).await?;
    portions(&mut db).await?;
    copies(&db, &things).await?;
    db.batch_execute("do $$ begin raise notice 'hello %', 1; end $$; listen clients").await?;
    db.batch_execute("notify clients, 'payload'").await?;
    loop {
        match tokio::time::timeout(Duration::from_secs(10), hears.recv()).await?.ok_or("gone")? {
            AsyncMessage::Notice(notice) => say("notice", &[notice.severity().into(), notice.message().into()]),
            AsyncMessage::Notification(each) => break say("notify", &[each.channel().into(), each.payload().into()]),
            _ => {}
        }
    }
    if let Ok(peer) = env::var("VERBS_PEER") {
        verbs(&db, &peer).await?;
    }
    Ok(())
}
