// pgx: its own protocol implementation; binary wherever it can, statement cache, batches as pipelines, COPY in binary.
package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

var (
	ctx    = context.Background()
	schema = os.Getenv("SCHEMA")
	things = schema + ".things"
	db     *pgx.Conn
)

const big = "select i, i * 7919 % 1000003 as j, repeat('x', (i % 50)::int) as t from generate_series(1::bigint, 100000) i"

func show(value any) string {
	switch each := value.(type) {
	case nil:
		return "NULL"
	case string:
		return strings.NewReplacer("\t", "<tab>", "\n", "<newline>").Replace(each)
	case []byte:
		return hex.EncodeToString(each)
	case [16]byte:
		text := hex.EncodeToString(each[:])
		return strings.Join([]string{text[:8], text[8:12], text[12:16], text[16:20], text[20:]}, "-")
	case time.Time:
		return each.UTC().Format("2006-01-02 15:04:05.999999")
	case pgtype.Numeric:
		text, _ := each.Value()
		return fmt.Sprint(text)
	case []any:
		parts := []string{}
		for _, part := range each {
			parts = append(parts, show(part))
		}
		return "[" + strings.Join(parts, ",") + "]"
	default:
		return fmt.Sprint(each)
	}
}

func say(step string, values ...any) {
	parts := []string{}
	for _, value := range values {
		parts = append(parts, show(value))
	}
	fmt.Println(step + "\t" + strings.Join(parts, "|"))
}

func must[T any](value T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return value
}

func code(err error) string {
	var told *pgconn.PgError
	if errors.As(err, &told) {
		return fmt.Sprintf("%s/%s/%s/%d", told.Code, told.Message, told.ColumnName, told.Position)
	}
	if err == nil {
		return "no error"
	}
	return err.Error()
}

func ask(text string, values ...any) []any {
	rows := must(db.Query(ctx, text, values...))
	return must(pgx.CollectOneRow(rows, func(row pgx.CollectableRow) ([]any, error) { return row.Values() }))
}

func fails(text string, values ...any) string {
	_, err := db.Exec(ctx, text, values...)
	return code(err)
}

func connect(password string) (*pgx.Conn, error) {
	config := must(pgx.ParseConfig("sslmode=" + os.Getenv("PGSSLMODE")))
	config.Password = password
	config.OnNotice = func(_ *pgconn.PgConn, notice *pgconn.Notice) { say("notice", notice.Severity, notice.Message) }
	return pgx.ConnectConfig(ctx, config)
}

type sums struct{ rows, first, hash, length int64 }

func (sums *sums) add(i, j int64, t string) {
	sums.rows++
	sums.first += i
	sums.hash = (sums.hash*31 + j) % 1000000007
	sums.length += int64(len(t))
}

func (sums *sums) say(step string) { say(step, sums.rows, sums.first, sums.hash, sums.length) }

func values() {
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol} {
		one := func(text string, values ...any) []any { return ask(text, append([]any{mode}, values...)...) }
		say("parameters", one("select $1::int + 1, $2::text, $3::float8, $4::bool", 41, "O'Reilly \\ ü€", 1.5, true)...)
		say("nulls", one("select $1::text is null, $2::text, null::int", nil, nil)...)
		var exact, small, nan pgtype.Numeric
		_, _, _ = exact.Scan("12345678901234567890.123456789"), small.Scan("-0.00001"), nan.Scan("NaN")
		say("numeric", one("select $1::numeric, $2::numeric, $3::numeric", exact, small, nan)...)
		when := must(time.Parse(time.RFC3339Nano, "2024-02-29T12:34:56.789012+02:00"))
		say("timestamptz", one("select $1::timestamptz", when)...)
		doc := `{"a": [1, 2.50, null], "b": "ü"}`
		say("json", one("select $1::json::text, $2::jsonb::text", doc, doc)...)
		say("bytea", one("select $1::bytea", []byte{0, 1, 0, 255, 92, 39})...)
		one3, three := int32(1), int32(3)
		a, b, c, d := "a", "b,c", `d"e`, ""
		say("arrays", one("select $1::int[], $2::text[]", []*int32{&one3, nil, &three}, []*string{&a, &b, nil, &c, &d})...)
		say("uuid", one("select $1::uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")...)
	}
	say("enum", ask("insert into "+things+" (id, name, mood) values (1, 'one', $1) returning mood::text", "happy")...)
	rows := must(db.Query(ctx, "select id, name, amount, at, doc, raw, list, words, uid from "+things))
	for _, field := range rows.FieldDescriptions() {
		say("types", field.Name, field.DataTypeOID, field.DataTypeSize, field.TypeModifier, field.TableAttributeNumber, field.Format)
	}
	rows.Close()
	say("binary", "format of the last column", rows.FieldDescriptions()[8].Format)
	twice := must(db.Prepare(ctx, "twice", "select $1::int * $1"))
	say("prepared", twice.ParamOIDs, twice.Fields[0].DataTypeOID)
	for n := 1; n <= 3; n++ {
		say("prepared", ask("twice", n)...)
	}
	for _, text := range []string{"insert into %s (id, name) values (2, 'two'), (3, 'three'), (4, 'four')", "update %s set amount = id * 1.5 where id in (2, 3)", "delete from %s where id = 4"} {
		tag := must(db.Exec(ctx, fmt.Sprintf(text, things)))
		say("counts", tag.RowsAffected(), tag.String())
	}
}

func transactions() {
	tx := must(db.Begin(ctx))
	must(tx.Exec(ctx, "insert into "+things+" (id, name) values (100, 'x')"))
	status := string(db.PgConn().TxStatus())
	say("transaction", status, tx.Rollback(ctx))
	say("transaction", ask("select count(*) from "+things+" where id = 100")...)
	tx = must(db.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.Serializable, DeferrableMode: pgx.Deferrable}))
	must(tx.Exec(ctx, "insert into "+things+" (id, name) values (101, 'x')"))
	inner := must(tx.Begin(ctx))
	say("transaction", fails("insert into "+things+" (id, name) values ($1, 'x')", 101), string(db.PgConn().TxStatus()))
	say("transaction", fails("select 1"))
	say("transaction", inner.Rollback(ctx), tx.Commit(ctx), string(db.PgConn().TxStatus()))
	say("transaction", ask("select count(*) from "+things+" where id = 101")...)
	say("error", fails("select 1/0"))
	say("error", fails("insert into "+things+" (id) values ($1)", 5))
	say("error", fails("selec 1"))
	say("error", fails("select nope from "+things+" where id = $1", 1))
	say("error", ask("select 1")...)
	results, err := db.PgConn().Exec(ctx, "select 1; insert into "+things+" (id, name) values (200, 'x'); select 'last', null").ReadAll()
	for _, result := range results {
		say("multi", result.CommandTag.String(), len(result.Rows), code(err))
	}
	_, err = db.PgConn().Exec(ctx, "insert into "+things+" (id, name) values (201, 'x'); select 1 / (id - id) from "+things+"; select 2").ReadAll()
	say("multi", code(err))
	say("multi", ask("select count(*) from "+things+" where id in (200, 201)")...)
}

func pipelines() {
	batch := &pgx.Batch{}
	for n := 1; n <= 3; n++ {
		batch.Queue("select $1::int", n)
	}
	batch.Queue("select id from "+things+" where id = $1", 1)
	results := db.SendBatch(ctx, batch)
	for range batch.Len() {
		var n int
		say("batch", results.QueryRow().Scan(&n), n)
	}
	say("batch", results.Close())
	failing := &pgx.Batch{}
	failing.Queue("insert into " + things + " (id, name) values (500, 'x')")
	failing.Queue("select 1/0")
	failing.Queue("select 3")
	results = db.SendBatch(ctx, failing)
	for range failing.Len() {
		_, err := results.Exec()
		say("batch", code(err))
	}
	say("batch", code(results.Close()))
	say("batch", ask("select count(*) from "+things+" where id = 500")...)
	pipeline := db.PgConn().StartPipeline(ctx)
	for n := range 3 {
		pipeline.SendQueryParams("select $1::text", [][]byte{fmt.Append(nil, n)}, nil, nil, nil)
		if n == 1 {
			pipeline.SendQueryParams("select 1/0", nil, nil, nil, nil)
			pipeline.SendQueryParams("select 'skipped'", nil, nil, nil, nil)
		}
		must(0, pipeline.Sync())
	}
	for {
		result, err := pipeline.GetResults()
		if result == nil && err == nil {
			break
		}
		switch each := result.(type) {
		case *pgconn.ResultReader:
			read := each.Read()
			say("pipeline", code(read.Err), len(read.Rows))
		default:
			say("pipeline", fmt.Sprintf("%T", each), code(err))
		}
	}
	say("pipeline", pipeline.Close())
}

func cancel() {
	began := time.Now()
	over, ended := make(chan bool), make(chan bool)
	go func() {
		defer close(ended)
		for {
			select {
			case <-over:
				return
			case <-time.After(200 * time.Millisecond):
				_ = db.PgConn().CancelRequest(ctx)
			}
		}
	}()
	outcome := fails("select pg_sleep(30)")
	close(over)
	<-ended
	in := "late"
	if time.Since(began) < 10*time.Second {
		in = "in time"
	}
	say("cancel", outcome[:5], in)
	say("cancel", ask("select 1")...)
}

func portions() {
	tx := must(db.Begin(ctx))
	must(tx.Exec(ctx, "declare big cursor for "+big))
	chunks := &sums{}
	for {
		rows := must(tx.Query(ctx, "fetch 1000 from big"))
		before := chunks.rows
		var i, j int64
		var t string
		must(pgx.ForEachRow(rows, []any{&i, &j, &t}, func() error { chunks.add(i, j, t); return nil }))
		if chunks.rows == before {
			break
		}
	}
	must(0, tx.Commit(ctx))
	chunks.say("chunks")
	rows := must(db.Query(ctx, big))
	whole := &sums{}
	for rows.Next() {
		var i, j int64
		var t string
		must(0, rows.Scan(&i, &j, &t))
		whole.add(i, j, t)
	}
	whole.say("chunks at once")
}

func copies() {
	count, err := db.CopyFrom(ctx, pgx.Identifier(strings.Split(things, ".")), []string{"id", "name", "words"}, pgx.CopyFromRows([][]any{{301, "a,b", []string{"x"}}, {302, `q"q`, nil}}))
	say("copy in", count, err)
	say("copy in", ask("select array_agg(name order by id), count(words) from "+things+" where id > 300")...)
	var out bytes.Buffer
	tag := must(db.PgConn().CopyTo(ctx, &out, "copy (select id, name, words from "+things+" where id > 300 order by id) to stdout"))
	say("copy out", out.String(), tag.String())
	_, err = db.PgConn().CopyFrom(ctx, strings.NewReader("303\tx\nmany\ty\n"), "copy "+things+" (id, name) from stdin")
	say("copy error", code(err))
	say("copy error", ask("select count(*) from "+things+" where id = 303")...)
}

func main() {
	db = must(connect(os.Getenv("PGPASSWORD")))
	say("login", ask("show server_version")[0], db.PgConn().ParameterStatus("client_encoding"))
	_, err := connect(os.Getenv("PGPASSWORD") + "?")
	say("wrong password", code(err)[:5])
	say("settings", must(db.Exec(ctx, "set timezone to 'UTC'")).String(), db.PgConn().ParameterStatus("TimeZone"))
	say("ddl", must(db.Exec(ctx, "create table "+schema+".extra (id int)")).String(), must(db.Exec(ctx, "drop table "+schema+".extra")).String())
	values()
	transactions()
	pipelines()
	cancel()
	portions()
	copies()
	must(db.Exec(ctx, "do $$ begin raise notice 'hello %', 1; end $$"))
	must(db.Exec(ctx, "listen clients"))
	must(db.Exec(ctx, "notify clients, 'payload'"))
	notification := must(db.WaitForNotification(ctx))
	say("notify", notification.Channel, notification.Payload)
	if peer := os.Getenv("VERBS_PEER"); peer != "" {
		say("verbs", must(db.Exec(ctx, "create peer "+peer+" from postgres with ("+os.Getenv("VERBS_OPTIONS")+")")).String())
		rows := must(db.Query(ctx, "show peers"))
		seen := false
		all := must(pgx.CollectRows(rows, func(row pgx.CollectableRow) ([]any, error) { return row.Values() }))
		for _, row := range all {
			seen = seen || row[0] == peer
		}
		say("verbs", seen, rows.CommandTag().String())
		shown := must(pgx.CollectRows(must(db.Query(ctx, "show peer "+peer)), func(row pgx.CollectableRow) ([]any, error) { return row.Values() }))
		say("verbs", strings.Contains(fmt.Sprint(shown), "********"))
		for range 3 {
			say("verbs", ask("execute "+peer+" $$ select 6 * 7 $$")...)
		}
		say("verbs", must(db.Exec(ctx, "drop peer "+peer)).String(), fails("drop peer "+peer))
	}
	must(0, db.Close(ctx))
}
