// libpq in C: every way it has of asking, in text and binary; single-row mode, pipelines, cancel requests, COPY, large objects.
#include <arpa/inet.h>
#include <libpq-fe.h>
#include <libpq/libpq-fs.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *schema;
static char things[200];
static PGconn *db;
static const char *big =
    "select i, i * 7919 % 1000003 as j, repeat('x', (i % 50)::int) as t from generate_series(1::bigint, 100000) i";
static const char bytes[] = {0, 1, 0, (char)255, 92, 39};

static char *text(const char *format, const char *name) {
  static char texts[4][2000];
  static int next;
  char *made = texts[next++ % 4];
  snprintf(made, sizeof texts[0], format, name, name, name);
  return made;
}

static void put(const char *value) {
  for (; *value; value++) {
    if (*value == '\t') fputs("<tab>", stdout);
    else if (*value == '\n') fputs("<newline>", stdout);
    else putchar(*value);
  }
}

static void put_field(const PGresult *result, int row, int column) {
  if (PQgetisnull(result, row, column)) fputs("NULL", stdout);
  else if (PQfformat(result, column) == 0) put(PQgetvalue(result, row, column));
  else
    for (int i = 0; i < PQgetlength(result, row, column); i++)
      printf("%02x", (unsigned char)PQgetvalue(result, row, column)[i]);
}

/* All that a result says, on a line of its own for each row. */
static void say(const char *step, PGresult *result) {
  printf("%s\t%s|%s|%s", step, PQresStatus(PQresultStatus(result)), PQcmdStatus(result), PQcmdTuples(result));
  const char fields[] = {PG_DIAG_SQLSTATE, PG_DIAG_MESSAGE_PRIMARY, PG_DIAG_TABLE_NAME, PG_DIAG_COLUMN_NAME,
                         PG_DIAG_CONSTRAINT_NAME, PG_DIAG_STATEMENT_POSITION, PG_DIAG_CONTEXT};
  for (size_t i = 0; i < sizeof fields; i++) {
    const char *field = PQresultErrorField(result, fields[i]);
    if (field == NULL) continue;
    putchar('|');
    put(field);
  }
  putchar('\n');
  for (int row = 0; row < PQntuples(result); row++) {
    printf("%s\t", step);
    for (int column = 0; column < PQnfields(result); column++) {
      if (column > 0) putchar('|');
      put_field(result, row, column);
    }
    putchar('\n');
  }
  PQclear(result);
}

static void ask(const char *step, const char *query) { say(step, PQexec(db, query)); }

/* The same with parameters of the protocol, its results in text and in binary. */
static void ask_with(const char *step, const char *query, int count, const char *const *values) {
  for (int format = 0; format < 2; format++) say(step, PQexecParams(db, query, count, NULL, values, NULL, NULL, format));
}

static PGconn *connect_with(const char *password) {
  const char *names[] = {"password", "fallback_application_name", NULL};
  const char *values[] = {password, "libpq.c", NULL};
  return PQconnectdbParams(names, values, 0);
}

static const char *notices = "notice";
static void notice(void *unused, const PGresult *result) {
  (void)unused;
  printf("%s\t%s|%s\n", notices, PQresultErrorField(result, PG_DIAG_SEVERITY), PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY));
}

static atomic_int over;
static void *insist(void *unused) {
  (void)unused;
  char told[256];
  while (!atomic_load(&over)) {
    usleep(200000);
    if (atomic_load(&over)) break;
    PGcancel *cancel = PQgetCancel(db);
    if (!PQcancel(cancel, told, sizeof told)) fprintf(stderr, "cancel: %s\n", told);
    PQfreeCancel(cancel);
  }
  return NULL;
}

static double now(void) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static void values(void) {
  ask_with("parameters", "select $1::int + 1, $2::text, $3::float8, $4::bool", 4, (const char *[]){"41", "O'Reilly \\ ü€", "1.5", "t"});
  ask_with("nulls", "select $1::text is null, $2::text, null::int", 2, (const char *[]){NULL, NULL});
  ask_with("numeric", "select $1::numeric, $2::numeric, $3::numeric", 3, (const char *[]){"12345678901234567890.123456789", "-0.00001", "NaN"});
  ask_with("timestamptz", "select $1::timestamptz", 1, (const char *[]){"2024-02-29 12:34:56.789012+02"});
  ask_with("json", "select $1::json, $1::jsonb", 1, (const char *[]){"{\"a\": [1, 2.50, null], \"b\": \"ü\"}"});
  ask_with("arrays", "select $1::int[], $2::text[]", 2, (const char *[]){"{1,NULL,3}", "{a,\"b,c\",NULL,\"d\\\"e\",\"\"}"});
  ask_with("uuid", "select $1::uuid::text, $1::uuid", 1, (const char *[]){"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"});
  const int four = (int)htonl(4);
  const Oid types[] = {23, 17, 25};
  const char *const binary[] = {(const char *)&four, bytes, "text"};
  const int lengths[] = {4, sizeof bytes, 0}, formats[] = {1, 1, 0};
  say("bytea", PQexecParams(db, "select $1, $2, $3", 3, types, binary, lengths, formats, 1));
  say("binary", PQexecParams(db, "select $1, $2, $3", 3, types, binary, lengths, formats, 0));
  say("enum", PQexecParams(db, text("insert into %s (id, name, mood) values (1, 'one', $1) returning mood", things), 1, NULL, (const char *[]){"happy"}, NULL, NULL, 1));
  ask("enum", text("select mood from %s", things));
  PGresult *result = PQexec(db, text("select id, name, amount, at, doc, raw, list, words, uid from %s", things));
  for (int i = 0; i < PQnfields(result); i++)
    printf("types\t%s|%u|%d|%d|%d\n", PQfname(result, i), PQftype(result, i), PQfsize(result, i), PQfmod(result, i), PQftablecol(result, i));
  PQclear(result);
  say("prepared", PQprepare(db, "twice", "select $1::int * $1", 0, NULL));
  for (int n = 0; n < 3; n++) say("prepared", PQexecPrepared(db, "twice", 1, (const char *[]){(const char *[]){"1", "2", "3"}[n]}, NULL, NULL, 0));
  result = PQdescribePrepared(db, "twice");
  printf("prepared\t%d|%u|%u\n", PQnparams(result), PQparamtype(result, 0), PQftype(result, 0));
  PQclear(result);
  ask("prepared", "deallocate twice");
  say("prepared", PQexecPrepared(db, "twice", 0, NULL, NULL, NULL, 0));
  ask("counts", text("insert into %s (id, name) values (2, 'two'), (3, 'three'), (4, 'four')", things));
  ask("counts", text("update %s set amount = id * 1.5 where id in (2, 3)", things));
  ask("counts", text("delete from %s where id = 4", things));
}

static void transactions(void) {
  ask("transaction", "begin");
  ask("transaction", text("insert into %s (id, name) values (100, 'x')", things));
  printf("transaction\t%d\n", PQtransactionStatus(db));
  ask("transaction", "rollback");
  ask("transaction", text("select count(*) from %s where id = 100", things));
  ask("transaction", "start transaction isolation level repeatable read");
  ask("transaction", text("insert into %s (id, name) values (101, 'x')", things));
  ask("transaction", "savepoint s");
  ask("transaction", text("insert into %s (id, name) values (101, 'x')", things));
  printf("transaction\t%d\n", PQtransactionStatus(db));
  ask("transaction", "select 1");
  ask("transaction", "rollback to savepoint s");
  ask("transaction", "commit");
  ask("transaction", text("select count(*) from %s where id = 101", things));
  ask("error", "select 1/0");
  say("error", PQexecParams(db, text("insert into %s (id) values ($1)", things), 1, NULL, (const char *[]){"5"}, NULL, NULL, 0));
  ask("error", "selec 1");
  ask("error", text("select nope from %s", things));
  ask("error", "select 1");
  ask("error", "");
  PQsendQuery(db, text("select 1; insert into %s (id, name) values (200, 'x'); select 'last', null", things));
  for (PGresult *result; (result = PQgetResult(db)) != NULL;) say("multi", result);
  PQsendQuery(db, text("insert into %s (id, name) values (201, 'x'); select 1 / (id - id) from %s; select 2", things));
  for (PGresult *result; (result = PQgetResult(db)) != NULL;) say("multi", result);
  ask("multi", text("select count(*) from %s where id in (200, 201)", things));
}

static void pipeline(void) {
  PQenterPipelineMode(db);
  PQsendQueryParams(db, "select 1", 0, NULL, NULL, NULL, NULL, 1);
  PQsendPrepare(db, "in pipeline", text("select id from %s where id = $1", things), 0, NULL);
  PQsendQueryPrepared(db, "in pipeline", 1, (const char *[]){"1"}, NULL, NULL, 0);
  PQsendDescribePrepared(db, "in pipeline");
  PQsendFlushRequest(db);
  PQflush(db);
  PQsendQueryParams(db, "select 1/0", 0, NULL, NULL, NULL, NULL, 0);
  PQsendQueryParams(db, "select 'skipped'", 0, NULL, NULL, NULL, NULL, 0);
  PQpipelineSync(db);
  PQsendQueryParams(db, "select 2", 0, NULL, NULL, NULL, NULL, 0);
  PQpipelineSync(db);
  for (int syncs = 0; syncs < 2;) {
    PGresult *result = PQgetResult(db);
    if (result == NULL) continue;
    if (PQresultStatus(result) == PGRES_PIPELINE_SYNC) syncs++;
    say("pipeline", result);
  }
  printf("pipeline\t%d|%d\n", PQexitPipelineMode(db), PQtransactionStatus(db));
}

static void cancel(void) {
  pthread_t thread;
  const double began = now();
  pthread_create(&thread, NULL, insist, NULL);
  PGresult *result = PQexec(db, "select pg_sleep(30)");
  atomic_store(&over, 1);
  pthread_join(thread, NULL);
  printf("cancel\t%s|%s\n", PQresultErrorField(result, PG_DIAG_SQLSTATE), now() - began < 10 ? "in time" : "late");
  PQclear(result);
  result = PQexec(db, "select 1");
  printf("cancel\t%s\n", PQgetvalue(result, 0, 0));
  PQclear(result);
}

static void add(const PGresult *result, long long sums[4]) {
  for (int row = 0; row < PQntuples(result); row++) {
    sums[0]++;
    sums[1] += atoll(PQgetvalue(result, row, 0));
    sums[2] = (sums[2] * 31 + atoll(PQgetvalue(result, row, 1))) % 1000000007;
    sums[3] += PQgetlength(result, row, 2);
  }
}

static void portions(void) {
  long long sums[4] = {0};
  PQclear(PQexec(db, "begin"));
  PQclear(PQexec(db, text("declare big cursor for %s", big)));
  for (int more = 1; more;) {
    PGresult *result = PQexec(db, "fetch 1000 from big");
    more = PQntuples(result) > 0;
    add(result, sums);
    PQclear(result);
  }
  PQclear(PQexec(db, "commit"));
  printf("chunks\t%lld|%lld|%lld|%lld\n", sums[0], sums[1], sums[2], sums[3]);
  memset(sums, 0, sizeof sums);
  PQsendQueryParams(db, big, 0, NULL, NULL, NULL, NULL, 0);
  PQsetSingleRowMode(db);
  for (PGresult *result; (result = PQgetResult(db)) != NULL; PQclear(result)) add(result, sums);
  printf("chunks row by row\t%lld|%lld|%lld|%lld\n", sums[0], sums[1], sums[2], sums[3]);
}

static void copy_in(const char *step, const char *query, const char *data, int length, const char *give_up) {
  PGresult *result = PQexec(db, query);
  printf("%s\t%s|%d|%d\n", step, PQresStatus(PQresultStatus(result)), PQbinaryTuples(result), PQnfields(result));
  PQclear(result);
  // One byte at a time, as the least that a client may send.
  for (int i = 0; i < length; i++) PQputCopyData(db, data + i, 1);
  PQputCopyEnd(db, give_up);
  while ((result = PQgetResult(db)) != NULL) say(step, result);
}

static void copies(void) {
  const char *csv = "301,\"a,b\",\"{x}\"\n302,\"q\"\"q\",\n";
  copy_in("copy in", text("copy %s (id, name, words) from stdin (format csv)", things), csv, (int)strlen(csv), NULL);
  ask("copy in", text("select array_agg(name order by id), count(words) from %s where id > 300", things));
  for (int binary = 0; binary < 2; binary++) {
    const char *query = binary ? "copy (select id, name, raw from %s where id > 300 order by id) to stdout (format binary)"
                               : "copy (select id, name, words from %s where id > 300 order by id) to stdout";
    PGresult *result = PQexec(db, text(query, things));
    printf("copy out\t%s|%d|%d\n", PQresStatus(PQresultStatus(result)), PQbinaryTuples(result), PQnfields(result));
    PQclear(result);
    char *data;
    for (int length; (length = PQgetCopyData(db, &data, 0)) > 0; PQfreemem(data)) {
      printf("copy out\t");
      for (int i = 0; i < length; i++) {
        if (binary) printf("%02x", (unsigned char)data[i]);
        else put((char[]){data[i], 0});
      }
      putchar('\n');
    }
    while ((result = PQgetResult(db)) != NULL) say("copy out", result);
  }
  const char *bad = "303\tx\nmany\ty\n";
  copy_in("copy error", text("copy %s (id, name) from stdin", things), bad, (int)strlen(bad), NULL);
  copy_in("copy error", text("copy %s (id, name) from stdin", things), bad, 6, "enough");
  ask("copy error", text("copy %s (id, name) to '/no/such/place'", things));
  ask("copy error", text("select count(*) from %s where id = 303", things));
}

static void large_object(void) {
  PQclear(PQexec(db, "begin"));
  const Oid object = lo_create(db, 0);
  const int handle = lo_open(db, object, INV_READ | INV_WRITE);
  char back[20];
  const int written = lo_write(db, handle, bytes, sizeof bytes);
  const int place = lo_lseek(db, handle, 1, SEEK_SET);
  const int got = lo_read(db, handle, back, sizeof back);
  printf("large object\t%d|%d|%d|%d|%d\n", written, place, got, memcmp(back, bytes + 1, 5), lo_unlink(db, object));
  PQclear(PQexec(db, "commit"));
}

static void verbs(const char *peer) {
  char query[4000];
  notices = "verbs";
  snprintf(query, sizeof query, "create peer %s from postgres with (%s)", peer, getenv("VERBS_OPTIONS"));
  ask("verbs", query);
  PGresult *result = PQexec(db, "show peers");
  int seen = 0, hidden = 0;
  for (int row = 0; row < PQntuples(result); row++) seen |= strcmp(PQgetvalue(result, row, 0), peer) == 0;
  printf("verbs\t%d|%s|%u\n", seen, PQcmdStatus(result), PQftype(result, 0));
  PQclear(result);
  result = PQexec(db, text("show peer %s", peer));
  for (int row = 0; row < PQntuples(result); row++)
    for (int column = 0; column < PQnfields(result); column++) hidden |= strcmp(PQgetvalue(result, row, column), "********") == 0;
  printf("verbs\t%d|%s\n", hidden, PQcmdStatus(result));
  PQclear(result);
  ask("verbs", text("execute %s $$ select 6 * 7 $$", peer));
  ask_with("verbs", text("execute %s ('select 43::int4, null')", peer), 0, NULL);
  ask("verbs", text("drop peer %s", peer));
  ask("verbs", text("drop peer if exists %s", peer));
  ask("verbs", text("drop peer %s", peer));
}

int main(void) {
  schema = getenv("SCHEMA");
  snprintf(things, sizeof things, "%s.things", schema);
  db = connect_with(getenv("PGPASSWORD"));
  if (PQstatus(db) != CONNECTION_OK) {
    fputs(PQerrorMessage(db), stderr);
    return 1;
  }
  const char *mode = getenv("PGSSLMODE");
  if (PQsslInUse(db) != (strcmp(mode, "require") == 0)) return 2;
  printf("login\t%d|%d|%s|%s|%s\n", PQserverVersion(db), PQprotocolVersion(db), PQparameterStatus(db, "client_encoding"),
         PQparameterStatus(db, "application_name"), PQparameterStatus(db, "is_superuser"));
  PGconn *wrong = connect_with("wrong");
  const char *told = strstr(PQerrorMessage(wrong), "password authentication failed");
  printf("wrong password\t");
  put(told == NULL ? PQerrorMessage(wrong) : told);
  putchar('\n');
  PQfinish(wrong);
  ask("settings", "set timezone to 'UTC'");
  printf("settings\t%s\n", PQparameterStatus(db, "TimeZone"));
  ask("ddl", text("create table %s.extra (id int)", schema));
  ask("ddl", text("drop table %s.extra", schema));
  PQsetNoticeReceiver(db, notice, NULL);
  values();
  transactions();
  pipeline();
  cancel();
  portions();
  copies();
  ask("notice", "do $$ begin raise notice 'hello %', 1; end $$");
  ask("notify", "listen clients");
  ask("notify", "notify clients, 'payload'");
  PGnotify *notification = PQnotifies(db);
  printf("notify\t%s|%s\n", notification->relname, notification->extra);
  PQfreemem(notification);
  large_object();
  if (getenv("VERBS_PEER") != NULL) verbs(getenv("VERBS_PEER"));
  PQfinish(db);
  return 0;
}
