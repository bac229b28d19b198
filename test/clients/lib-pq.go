// lib/pq under database/sql: its own protocol implementation, text and binary parameters, COPY by pq.CopyIn, a listener.
package main

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/lib/pq"
)

var (
	ctx    = context.Background()
	schema = os.Getenv("SCHEMA")
	things = schema + ".things"
	db     *sql.Conn
)

const big = "select i, i * 7919 % 1000003 as j, repeat('x', (i % 50)::int) as t from generate_series(1::bigint, 100000) i"

func show(value any) string {
	switch each := value.(type) {
	case nil:
		return "NULL"
	case []byte:
		for _, b := range each {
			if b < 32 {
				return hex.EncodeToString(each)
			}
		}
		return string(each)
	case time.Time:
		return each.UTC().Format("2006-01-02 15:04:05.999999")
	default:
		return strings.NewReplacer("\t", "<tab>", "\n", "<newline>").Replace(fmt.Sprint(each))
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
	var told *pq.Error
	if errors.As(err, &told) {
		return strings.Join([]string{string(told.Code), told.Message, told.Column, told.Position}, "/")
	}
	return fmt.Sprint(err)
}

func row(rows *sql.Rows) []any {
	columns := must(rows.Columns())
	values, places := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		places[i] = &values[i]
	}
	must(0, rows.Scan(places...))
	return values
}

func ask(text string, values ...any) []any {
	rows := must(db.QueryContext(ctx, text, values...))
	defer rows.Close()
	if !rows.Next() {
		must(0, rows.Err())
	}
	return row(rows)
}

func fails(text string, values ...any) string {
	_, err := db.ExecContext(ctx, text, values...)
	return code(err)
}

func open(password string) *sql.DB {
	config := "sslmode=" + os.Getenv("PGSSLMODE") + " password='" + password + "'"
	return sql.OpenDB(pq.ConnectorWithNoticeHandler(must(pq.NewConnector(config)), func(notice *pq.Error) { say("notice", notice.Severity, notice.Message) }))
}

func values() {
	say("parameters", ask("select $1::int + 1, $2::text, $3::float8, $4::bool", 41, "O'Reilly \\ ü€", 1.5, true)...)
	say("nulls", ask("select $1::text is null, $2::text, null::int", nil, nil)...)
	say("numeric", ask("select $1::numeric, $2::numeric, $3::numeric", "12345678901234567890.123456789", "-0.00001", "NaN")...)
	say("timestamptz", ask("select $1::timestamptz", must(time.Parse(time.RFC3339Nano, "2024-02-29T12:34:56.789012+02:00")))...)
	doc := `{"a": [1, 2.50, null], "b": "ü"}`
	say("json", ask("select $1::json, $2::jsonb", doc, doc)...)
	say("bytea", ask("select $1::bytea", []byte{0, 1, 0, 255, 92, 39})...)
	say("arrays", ask("select $1::int[], $2::text[]", "{1,NULL,3}", pq.Array([]sql.NullString{{String: "a", Valid: true}, {String: "b,c", Valid: true}, {}, {String: `d"e`, Valid: true}}))...)
	say("uuid", ask("select $1::uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")...)
	say("enum", ask("insert into "+things+" (id, name, mood) values (1, 'one', $1) returning mood", "happy")...)
	rows := must(db.QueryContext(ctx, "select id, name, amount, at, doc, raw, list, words, uid from "+things))
	for _, column := range must(rows.ColumnTypes()) {
		precision, scale, _ := column.DecimalSize()
		say("types", column.Name(), column.DatabaseTypeName(), column.ScanType(), precision, scale)
	}
	rows.Close()
	twice := must(db.PrepareContext(ctx, "select $1::int * $1"))
	for n := 1; n <= 3; n++ {
		var square int
		must(0, twice.QueryRowContext(ctx, n).Scan(&square))
		say("prepared", square)
	}
	must(0, twice.Close())
	for _, text := range []string{"insert into %s (id, name) values (2, 'two'), (3, 'three'), (4, 'four')", "update %s set amount = id * 1.5 where id in (2, 3)", "delete from %s where id = 4"} {
		say("counts", must(must(db.ExecContext(ctx, fmt.Sprintf(text, things))).RowsAffected()))
	}
}

func transactions() {
	tx := must(db.BeginTx(ctx, nil))
	must(tx.Exec("insert into " + things + " (id, name) values (100, 'x')"))
	say("transaction", tx.Rollback())
	say("transaction", ask("select count(*) from "+things+" where id = 100")...)
	tx = must(db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelSerializable}))
	must(tx.Exec("insert into " + things + " (id, name) values (101, 'x')"))
	must(tx.Exec("savepoint s"))
	_, err := tx.Exec("insert into "+things+" (id, name) values ($1, 'x')", 101)
	say("transaction", code(err))
	_, err = tx.Exec("select 1")
	say("transaction", code(err))
	must(tx.Exec("rollback to savepoint s"))
	say("transaction", tx.Commit())
	say("transaction", ask("select count(*) from "+things+" where id = 101")...)
	say("error", fails("select 1/0"))
	say("error", fails("insert into "+things+" (id) values ($1)", 5))
	say("error", fails("selec 1"))
	say("error", fails("select nope from "+things+" where id = $1", 1))
	say("error", ask("select 1")...)
	rows := must(db.QueryContext(ctx, "select 1; select 'two', 2; insert into "+things+" (id, name) values (200, 'x'); select 'last'"))
	for more := true; more; more = rows.NextResultSet() {
		for rows.Next() {
			say("multi", row(rows)...)
		}
	}
	rows.Close()
	say("multi", fails("insert into "+things+" (id, name) values (201, 'x'); select 1 / (id - id) from "+things+"; select 2"))
	say("multi", ask("select count(*) from "+things+" where id in (200, 201)")...)
}

// Another connection cancels by the backend's id, as soon as it sees that it is busy.
func cancel(pool *sql.DB) {
	pid := ask("select pg_backend_pid()")[0]
	ended := make(chan bool)
	go func() {
		defer close(ended)
		other := must(pool.Conn(ctx))
		defer other.Close()
		for done := false; !done; time.Sleep(50 * time.Millisecond) {
			text := "select count(pg_cancel_backend(pid)) > 0 from pg_stat_activity where pid = $1 and state = 'active' and query like '%pg_sleep(30)%'"
			must(0, other.QueryRowContext(ctx, text, pid).Scan(&done))
		}
	}()
	inTime := func(began time.Time) string {
		if time.Since(began) < 10*time.Second {
			return "in time"
		}
		return "late"
	}
	began := time.Now()
	say("cancel", fails("select pg_sleep(30)")[:5], inTime(began))
	<-ended
	say("cancel", ask("select 1")...)
	// A context's end is a cancel request too; the library then takes a new connection.
	began = time.Now()
	limited, stop := context.WithTimeout(ctx, 300*time.Millisecond)
	defer stop()
	_, err := db.ExecContext(limited, "select pg_sleep(30)")
	say("time limit", err != nil, inTime(began))
	db.Close()
	db = must(pool.Conn(ctx))
	say("time limit", ask("select 1")...)
}

func portions() {
	tx := must(db.BeginTx(ctx, nil))
	must(tx.Exec("declare big cursor for " + big))
	var count, first, hash, length int64
	for {
		rows := must(tx.Query("fetch 1000 from big"))
		before := count
		for rows.Next() {
			var i, j int64
			var t string
			must(0, rows.Scan(&i, &j, &t))
			count, first, hash, length = count+1, first+i, (hash*31+j)%1000000007, length+int64(len(t))
		}
		if count == before {
			break
		}
	}
	must(0, tx.Commit())
	say("chunks", count, first, hash, length)
}

func copies() {
	in := func(rows ...[]any) error {
		tx := must(db.BeginTx(ctx, nil))
		defer tx.Rollback()
		parts := strings.Split(things, ".")
		copy := must(tx.Prepare(pq.CopyInSchema(parts[len(parts)-2], parts[len(parts)-1], "id", "name")))
		for _, row := range rows {
			if _, err := copy.Exec(row...); err != nil {
				return err
			}
		}
		if _, err := copy.Exec(); err != nil {
			return err
		}
		must(0, copy.Close())
		return tx.Commit()
	}
	say("copy in", in([]any{301, "a,b"}, []any{302, `q"q`}))
	say("copy in", ask("select array_agg(name order by id) from "+things+" where id > 300")...)
	say("copy error", code(in([]any{303, "x"}, []any{"many", "y"})))
	say("copy error", ask("select count(*) from "+things+" where id = 303")...)
}

func main() {
	pool := open(os.Getenv("PGPASSWORD"))
	db = must(pool.Conn(ctx))
	say("login", ask("show server_version")...)
	_, err := open(os.Getenv("PGPASSWORD") + "?").Conn(ctx)
	say("wrong password", code(err)[:5])
	must(db.ExecContext(ctx, "set timezone to 'UTC'"))
	say("settings", ask("show timezone")...)
	must(db.ExecContext(ctx, "create table "+schema+".extra (id int)"))
	say("ddl", "ok", must(must(db.ExecContext(ctx, "drop table "+schema+".extra")).RowsAffected()))
	values()
	transactions()
	cancel(pool)
	portions()
	copies()
	must(db.ExecContext(ctx, "do $$ begin raise notice 'hello %', 1; end $$"))
	listener := pq.NewListener("sslmode="+os.Getenv("PGSSLMODE"), time.Second, time.Second, nil)
	must(0, listener.Listen("clients"))
	must(db.ExecContext(ctx, "notify clients, 'payload'"))
	notification := <-listener.Notify
	say("notify", notification.Channel, notification.Extra)
	must(0, listener.Close())
	if peer := os.Getenv("VERBS_PEER"); peer != "" {
		say("verbs", must(must(db.ExecContext(ctx, "create peer "+peer+" from postgres with ("+os.Getenv("VERBS_OPTIONS")+")")).RowsAffected()))
		seen := func(text, what string) (seen bool) {
			rows := must(db.QueryContext(ctx, text))
			defer rows.Close()
			for rows.Next() {
				for _, value := range row(rows) {
					seen = seen || show(value) == what
				}
			}
			return seen
		}
		say("verbs", seen("show peers", peer), seen("show peer "+peer, "********"))
		say("verbs", ask("execute "+peer+" $$ select 6 * 7 $$")...)
		say("verbs", must(must(db.ExecContext(ctx, "drop peer "+peer)).RowsAffected()), fails("drop peer "+peer))
	}
	must(0, pool.Close())
}
