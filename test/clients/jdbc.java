// JDBC (PostgreSQL's own driver): prepared statements that turn into named and binary ones, fetch size, batches, COPY, metadata.
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.sql.*;
import java.time.OffsetDateTime;
import java.util.*;
import java.util.concurrent.atomic.AtomicBoolean;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyManager;
import org.postgresql.util.PGobject;
import org.postgresql.util.PSQLException;

public class jdbc {
  static final Map<String, String> env = System.getenv();
  static final String schema = env.get("SCHEMA");
  static final String things = schema + ".things";
  static final String big =
      "select i, i * 7919 % 1000003 as j, repeat('x', (i % 50)::int) as t from generate_series(1::bigint, 100000) i";
  static final byte[] bytes = {0, 1, 0, (byte) 255, 92, 39};
  static Connection db;

  static String show(Object value) throws SQLException {
    if (value == null) return "NULL";
    if (value instanceof byte[] raw) return HexFormat.of().formatHex(raw);
    if (value instanceof Array array) return Arrays.deepToString((Object[]) array.getArray());
    return value.toString().replace("\t", "<tab>").replace("\n", "<newline>");
  }

  static void say(String step, Object... values) throws SQLException {
    StringJoiner line = new StringJoiner("|");
    for (Object value : values) line.add(show(value));
    System.out.println(step + "\t" + line);
  }

  static Connection connect(String password, String more) throws SQLException {
    String url = "jdbc:postgresql://" + env.get("PGHOST") + ":" + env.get("PGPORT") + "/" + env.get("PGDATABASE")
        + "?sslmode=" + env.get("PGSSLMODE") + "&prepareThreshold=2" + more;
    return DriverManager.getConnection(url, env.get("PGUSER"), password);
  }

  static Object[] ask(String text, Object... values) throws SQLException {
    try (PreparedStatement statement = db.prepareStatement(text)) {
      for (int i = 0; i < values.length; i++) {
        if (values[i] == null) statement.setNull(i + 1, Types.VARCHAR);
        else statement.setObject(i + 1, values[i]);
      }
      try (ResultSet rows = statement.executeQuery()) {
        rows.next();
        Object[] row = new Object[rows.getMetaData().getColumnCount()];
        for (int i = 0; i < row.length; i++) row[i] = rows.getObject(i + 1);
        return row;
      }
    }
  }

  static String fails(String text) throws SQLException {
    try (Statement statement = db.createStatement()) {
      statement.execute(text);
      return "no error";
    } catch (PSQLException error) {
      var server = error.getServerErrorMessage();
      return error.getSQLState() + "/" + server.getMessage() + "/" + server.getColumn() + "/" + server.getPosition();
    }
  }

  static int run(String text) throws SQLException {
    try (Statement statement = db.createStatement()) {
      return statement.executeUpdate(text);
    }
  }

  static PGobject other(String type, String value) throws SQLException {
    PGobject object = new PGobject();
    object.setType(type);
    object.setValue(value);
    return object;
  }

  static void sums(String step, ResultSet rows) throws SQLException {
    long count = 0, sum = 0, hash = 0, length = 0;
    while (rows.next()) {
      count++;
      sum += rows.getLong(1);
      hash = (hash * 31 + rows.getLong(2)) % 1000000007;
      length += rows.getString(3).length();
    }
    say(step, count, sum, hash, length);
  }

  static void values() throws SQLException {
    // Twice and more: from the second time on the driver has a named statement and takes binary results.
    for (int time = 0; time < 4; time++) {
      say("parameters", ask("select ?::int + 1, ?::text, ?::float8, ?::bool", 41, "O'Reilly \\ ü€", 1.5, true));
      say("nulls", ask("select ?::text is null, ?::text, null::int", null, null));
      say("numeric", ask("select ?::numeric, ?::numeric", new BigDecimal("12345678901234567890.123456789"), new BigDecimal("-0.00001")));
      say("numeric", ask("select 'NaN'::numeric, 'NaN'::float8"));
      say("timestamptz", ask("select ?::timestamptz, ?::date", OffsetDateTime.parse("2024-02-29T12:34:56.789012+02:00"), java.sql.Date.valueOf("2024-02-29")));
      String doc = "{\"a\": [1, 2.50, null], \"b\": \"ü\"}";
      say("json", ask("select ?::json, ?", doc, other("jsonb", doc)));
      say("bytea", ask("select ?::bytea", (Object) bytes));
      say("arrays", ask("select ?::int[], ?::text[]", db.createArrayOf("int4", new Integer[] {1, null, 3}), db.createArrayOf("text", new String[] {"a", "b,c", null, "d\"e", ""})));
      say("uuid", ask("select ?", UUID.fromString("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")));
    }
    try (PreparedStatement insert = db.prepareStatement("insert into " + things + " (id, name, mood) values (1, 'one', ?)", Statement.RETURN_GENERATED_KEYS)) {
      insert.setObject(1, other(schema + ".mood", "happy"));
      insert.executeUpdate();
      ResultSet keys = insert.getGeneratedKeys();
      keys.next();
      say("enum", keys.getInt("id"), keys.getString("mood"));
    }
  }

  static void metadata() throws SQLException {
    try (Statement statement = db.createStatement(); ResultSet rows = statement.executeQuery("select * from " + things)) {
      ResultSetMetaData meta = rows.getMetaData();
      for (int i = 1; i <= meta.getColumnCount(); i++) {
        say("types", meta.getColumnName(i), meta.getColumnTypeName(i), meta.getColumnType(i), meta.getPrecision(i), meta.getScale(i), meta.isNullable(i), meta.isAutoIncrement(i), meta.getTableName(i), meta.getColumnClassName(i));
      }
    }
    DatabaseMetaData meta = db.getMetaData();
    say("metadata", meta.getDatabaseProductName(), meta.getDatabaseProductVersion(), meta.supportsBatchUpdates(), meta.getMaxColumnNameLength());
    listed("metadata columns", meta.getColumns(null, schema, "%", "%"), "TABLE_NAME", "COLUMN_NAME", "TYPE_NAME", "COLUMN_SIZE", "NULLABLE");
    listed("metadata tables", meta.getTables(null, schema, "%", new String[] {"TABLE"}), "TABLE_NAME", "TABLE_TYPE");
    listed("metadata keys", meta.getPrimaryKeys(null, schema, "things"), "COLUMN_NAME", "KEY_SEQ", "PK_NAME");
    listed("metadata indexes", meta.getIndexInfo(null, schema, "things", false, false), "INDEX_NAME", "NON_UNIQUE", "COLUMN_NAME");
    listed("metadata schemas", meta.getSchemas(null, schema), "TABLE_SCHEM");
    try (PreparedStatement statement = db.prepareStatement("select * from " + things + " where id = ? and at < ?")) {
      ParameterMetaData parameters = statement.getParameterMetaData();
      say("metadata", parameters.getParameterTypeName(1), parameters.getParameterTypeName(2));
    }
  }

  static void listed(String step, ResultSet rows, String... columns) throws SQLException {
    while (rows.next()) {
      Object[] row = new Object[columns.length];
      for (int i = 0; i < row.length; i++) row[i] = rows.getObject(columns[i]);
      say(step, row);
    }
  }

  static void changes() throws SQLException {
    try (PreparedStatement twice = db.prepareStatement("select ?::int * ?::int")) {
      StringJoiner squares = new StringJoiner("|");
      for (int n = 1; n <= 9; n++) {
        twice.setInt(1, n);
        twice.setInt(2, n);
        ResultSet rows = twice.executeQuery();
        rows.next();
        squares.add(String.valueOf(rows.getInt(1)));
      }
      say("prepared", squares);
    }
    say("counts", run("insert into " + things + " (id, name) values (2, 'two'), (3, 'three'), (4, 'four')"), run("update " + things + " set amount = id * 1.5 where id in (2, 3)"), run("delete from " + things + " where id = 4"));
    try (PreparedStatement batch = db.prepareStatement("insert into " + things + " (id, name) values (?, ?)")) {
      for (int n = 10; n < 300; n++) {
        batch.setInt(1, n);
        batch.setString(2, "x".repeat(n));
        batch.addBatch();
      }
      say("batch", Arrays.stream(batch.executeBatch()).sum());
      for (int n : new int[] {400, 10, 401}) {
        batch.setInt(1, n);
        batch.setString(2, "x");
        batch.addBatch();
      }
      batch.executeBatch();
    } catch (BatchUpdateException error) {
      say("batch", error.getSQLState(), Arrays.toString(error.getUpdateCounts()));
    }
    say("batch", ask("select count(*) from " + things + " where id >= 10"));
    run("delete from " + things + " where id >= 10");
  }

  static void transactions() throws SQLException {
    db.setAutoCommit(false);
    run("insert into " + things + " (id, name) values (100, 'x')");
    db.rollback();
    say("transaction", ask("select count(*) from " + things + " where id = 100"));
    db.rollback();
    db.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
    run("insert into " + things + " (id, name) values (101, 'x')");
    Savepoint savepoint = db.setSavepoint("s");
    say("transaction", fails("insert into " + things + " (id, name) values (101, 'x')"));
    say("transaction", fails("select 1"));
    db.rollback(savepoint);
    db.commit();
    say("transaction", ask("select count(*) from " + things + " where id = 101"));
    db.commit();
    db.setAutoCommit(true);
    db.setReadOnly(true);
    db.setAutoCommit(false);
    say("read only", fails("delete from " + things));
    db.rollback();
    db.setReadOnly(false);
    db.setAutoCommit(true);
    say("error", fails("select 1/0"));
    say("error", fails("insert into " + things + " (id) values (5)"));
    say("error", fails("selec 1"));
    say("error", ask("select 1"));
    try (Statement several = db.createStatement()) {
      boolean rows = several.execute("select 1; insert into " + things + " (id, name) values (200, 'x'); select 'last'");
      several.getResultSet().next();
      say("multi", rows, several.getResultSet().getInt(1), several.getMoreResults(), several.getUpdateCount(), several.getMoreResults());
    }
    say("multi", fails("insert into " + things + " (id, name) values (201, 'x'); select 1 / (id - id) from " + things + "; select 2"));
    say("multi", ask("select count(*) from " + things + " where id in (200, 201)"));
  }

  static void cancel() throws Exception {
    AtomicBoolean over = new AtomicBoolean();
    try (Statement statement = db.createStatement()) {
      Thread canceller = new Thread(() -> {
        try {
          while (!over.get()) {
            Thread.sleep(200);
            if (!over.get()) statement.cancel();
          }
        } catch (Exception error) {
          System.err.println(error);
        }
      });
      long began = System.nanoTime();
      canceller.start();
      String outcome = "not cancelled";
      try {
        statement.execute("select pg_sleep(30)");
      } catch (SQLException error) {
        outcome = error.getSQLState();
      }
      over.set(true);
      canceller.join();
      say("cancel", outcome, System.nanoTime() - began < 10e9 ? "in time" : "late");
      say("cancel", ask("select 1"));
      statement.setQueryTimeout(1);
      try {
        statement.execute("select pg_sleep(30)");
      } catch (SQLException error) {
        say("time limit", error.getSQLState());
      }
    }
  }

  static void portions() throws SQLException {
    db.setAutoCommit(false);
    try (PreparedStatement statement = db.prepareStatement(big)) {
      statement.setFetchSize(1000);
      sums("chunks", statement.executeQuery());
    }
    // Left before its end, with another statement between two portions.
    try (Statement statement = db.createStatement()) {
      statement.setFetchSize(10);
      ResultSet rows = statement.executeQuery(big);
      for (int i = 0; i < 15; i++) rows.next();
      say("chunks closed early", ask("select count(*) from " + things + " where id = 1")[0], rows.getInt(1));
    }
    db.commit();
    db.setAutoCommit(true);
    try (Statement statement = db.createStatement()) {
      sums("chunks at once", statement.executeQuery(big));
      statement.setMaxRows(7);
      ResultSet rows = statement.executeQuery(big);
      int seen = 0;
      while (rows.next()) seen++;
      say("most rows", seen);
    }
  }

  static void copies() throws Exception {
    CopyManager copy = db.unwrap(PGConnection.class).getCopyAPI();
    byte[] csv = "301,\"a,b\",\"{x}\"\n302,\"q\"\"q\",\n".getBytes(StandardCharsets.UTF_8);
    long count = copy.copyIn("copy " + things + " (id, name, words) from stdin (format csv)", new ByteArrayInputStream(csv));
    say("copy in", count);
    say("copy in", ask("select array_agg(name order by id), count(words) from " + things + " where id > 300"));
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    say("copy out", copy.copyOut("copy (select id, name, words from " + things + " where id > 300 order by id) to stdout", out), out.toString(StandardCharsets.UTF_8));
    try {
      copy.copyIn("copy " + things + " (id, name) from stdin", new ByteArrayInputStream("303\tx\nmany\ty\n".getBytes()));
    } catch (PSQLException error) {
      say("copy error", error.getSQLState(), error.getServerErrorMessage().getWhere());
    }
    var cancelled = copy.copyIn("copy " + things + " (id, name) from stdin");
    cancelled.writeToCopy("303\tx\n".getBytes(), 0, 6);
    cancelled.cancelCopy();
    say("copy error", ask("select count(*) from " + things + " where id = 303"));
  }

  static void messages() throws SQLException {
    try (Statement statement = db.createStatement()) {
      statement.execute("do $$ begin raise notice 'hello %', 1; end $$");
      say("notice", statement.getWarnings().getMessage(), statement.getWarnings().getSQLState());
    }
    run("listen clients");
    run("notify clients, 'payload'");
    for (var each : db.unwrap(PGConnection.class).getNotifications(1000)) say("notify", each.getName(), each.getParameter());
  }

  static void verbs(String peer) throws SQLException {
    say("verbs", run("create peer " + peer + " from postgres with (" + env.get("VERBS_OPTIONS") + ")"));
    try (Statement statement = db.createStatement(); ResultSet rows = statement.executeQuery("show peers")) {
      boolean seen = false;
      while (rows.next()) seen |= rows.getString("name").equals(peer);
      say("verbs", seen, rows.getMetaData().getColumnTypeName(1));
    }
    try (Statement statement = db.createStatement(); ResultSet rows = statement.executeQuery("show peer " + peer)) {
      boolean hidden = false;
      while (rows.next()) for (int i = 1; i <= rows.getMetaData().getColumnCount(); i++) hidden |= "********".equals(rows.getString(i));
      say("verbs", hidden);
    }
    for (int time = 0; time < 4; time++) say("verbs", ask("execute " + peer + " $$ select 6 * 7 $$"));
    say("verbs", run("drop peer " + peer), fails("drop peer " + peer));
  }

  public static void main(String[] args) throws Exception {
    db = connect(env.get("PGPASSWORD"), "");
    say("login", ask("show server_version"));
    try {
      connect(env.get("PGPASSWORD") + "?", "");
      say("wrong password", "let in");
    } catch (PSQLException error) {
      say("wrong password", error.getSQLState());
    }
    say("settings", run("set timezone to 'UTC'"), ask("show timezone")[0], db.unwrap(PGConnection.class).getParameterStatuses().get("DateStyle"));
    say("ddl", run("create table " + schema + ".extra (id int)"), run("drop table " + schema + ".extra"));
    values();
    metadata();
    changes();
    transactions();
    cancel();
    portions();
    copies();
    messages();
    if (env.get("VERBS_PEER") != null) verbs(env.get("VERBS_PEER"));
    db.close();
    // Simple queries only, as behind some poolers.
    try (Connection simple = connect(env.get("PGPASSWORD"), "&preferQueryMode=simple"); Statement statement = simple.createStatement()) {
      ResultSet rows = statement.executeQuery("select 1, 'simple'");
      rows.next();
      say("simple", rows.getInt(1), rows.getString(2));
    }
  }
}
