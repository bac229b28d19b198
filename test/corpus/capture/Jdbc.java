// Every question of java.sql.DatabaseMetaData that goes to the server, and the ways in which a program asks for rows.
//   java -cp /usr/share/java/postgresql.jar test/corpus/capture/Jdbc.java
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.sql.*;
import java.util.*;

public class Jdbc {
  public static void main(String[] args) throws Exception {
    Map<String, String> env = System.getenv();
    String url = "jdbc:postgresql://127.0.0.1:" + env.get("PGPORT") + "/" + env.get("PGDATABASE")
        + "?sslmode=disable&user=" + env.get("PGUSER") + "&password=" + env.get("PGPASSWORD");
    for (String mode : new String[] {"", "&preferQueryMode=simple", "&prepareThreshold=-1&binaryTransfer=true"}) {
      try (Connection c = DriverManager.getConnection(url + mode)) {
        DatabaseMetaData d = c.getMetaData();
        for (Method m : DatabaseMetaData.class.getMethods()) {
          if (m.getParameterCount() == 0) all(m, d);
        }
        String[] types = {"TABLE", "VIEW", "MATERIALIZED VIEW", "PARTITIONED TABLE", "FOREIGN TABLE", "SEQUENCE", "INDEX"};
        String[][] names = {{null, "shop", "%"}, {null, null, "%"}, {"sample", "shop", "customers"}, {null, "Odd Schema", "%"}};
        for (String[] n : names) {
          show(d.getTables(n[0], n[1], n[2], null));
          show(d.getTables(n[0], n[1], n[2], types));
          show(d.getTables(n[0], n[1], n[2], new String[] {"TABLE"}));
          show(d.getColumns(n[0], n[1], n[2], "%"));
          show(d.getColumns(n[0], n[1], n[2], "n%"));
          show(d.getProcedures(n[0], n[1], "%"));
          show(d.getProcedureColumns(n[0], n[1], "%", "%"));
          show(d.getFunctions(n[0], n[1], "%"));
          show(d.getFunctionColumns(n[0], n[1], "%", "%"));
          show(d.getUDTs(n[0], n[1], "%", null));
          show(d.getUDTs(n[0], n[1], "%", new int[] {Types.STRUCT, Types.DISTINCT}));
          show(d.getTablePrivileges(n[0], n[1], n[2]));
          show(d.getSchemas(n[0], n[1]));
        }
        for (String t : new String[] {"customers", "orders", "order_lines", "products", "events", "nowhere"}) {
          show(d.getPrimaryKeys(null, "shop", t));
          show(d.getImportedKeys(null, "shop", t));
          show(d.getExportedKeys(null, "shop", t));
          show(d.getCrossReference(null, "shop", "customers", null, "shop", t));
          show(d.getIndexInfo(null, "shop", t, false, true));
          show(d.getIndexInfo(null, "shop", t, true, false));
          show(d.getBestRowIdentifier(null, "shop", t, DatabaseMetaData.bestRowSession, true));
          show(d.getVersionColumns(null, "shop", t));
          show(d.getColumnPrivileges(null, "shop", t, "%"));
        }
        rows(c, !mode.contains("simple"));
      }
    }
  }

  static void all(Method m, DatabaseMetaData d) throws Exception {
    try {
      Object answer = m.invoke(d);
      if (answer instanceof ResultSet) show((ResultSet) answer);
    } catch (InvocationTargetException e) {
      // Not every question has an answer.
    }
  }

  static void rows(Connection c, boolean describes) throws SQLException {
    for (String table : new String[] {"shop.customers", "shop.products", "shop.order_lines"}) {
      try (Statement s = c.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_UPDATABLE);
          ResultSet r = s.executeQuery("select * from " + table)) {
        ResultSetMetaData m = r.getMetaData();
        for (int i = 1; i <= m.getColumnCount(); i++) {
          m.isAutoIncrement(i);
          m.isNullable(i);
          m.getColumnTypeName(i);
          m.getColumnClassName(i);
        }
        show(r);
      }
    }
    try (PreparedStatement p = c.prepareStatement(
        "select cast(? as int), cast(? as text), cast(? as numeric), cast(? as bytea), cast(? as boolean), cast(? as timestamp),"
        + " cast(? as date), cast(? as float8), cast(? as int8), cast(? as text[]), cast(? as uuid)")) {
      p.setInt(1, 1);
      p.setString(2, "zwei");
      p.setBigDecimal(3, new java.math.BigDecimal("3.50"));
      if (describes) p.setBytes(4, new byte[] {0, 1, -1});
      else p.setNull(4, Types.BINARY);
      p.setBoolean(5, true);
      p.setTimestamp(6, Timestamp.valueOf("2024-02-03 04:05:06.789"));
      p.setDate(7, java.sql.Date.valueOf("2024-02-03"));
      p.setDouble(8, 1e100);
      p.setLong(9, Long.MIN_VALUE);
      p.setArray(10, c.createArrayOf("text", new String[] {"a", null, "c\"d"}));
      p.setObject(11, UUID.fromString("00000000-0000-0000-0000-00000000000a"));
      // The simple protocol cannot describe.
      if (describes) p.getParameterMetaData();
      for (int i = 0; i < 7; i++) show(p.executeQuery());
    }
    try (PreparedStatement p = c.prepareStatement("select id, name, born from shop.customers where id = ? or name = ?")) {
      p.setLong(1, 3);
      p.setString(2, "Customer 7");
      if (describes) p.getMetaData();
      show(p.executeQuery());
    }
    c.setAutoCommit(false);
    c.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
    c.setReadOnly(true);
    try (PreparedStatement p = c.prepareStatement("select * from public.plain order by id")) {
      p.setFetchSize(10);
      show(p.executeQuery());
    }
    Savepoint s = c.setSavepoint("mine");
    try (Statement t = c.createStatement()) {
      t.execute("select nothing");
    } catch (SQLException e) {
      c.rollback(s);
    }
    try (CallableStatement t = c.prepareCall("{? = call shop.add(?, ?)}")) {
      t.registerOutParameter(1, Types.INTEGER);
      t.setInt(2, 1);
      t.setInt(3, 2);
      t.execute();
    } catch (SQLException e) {
      // The simple protocol takes the result for a parameter.
    }
    c.rollback();
    c.setReadOnly(false);
    c.setAutoCommit(true);
    c.setSchema("shop");
    c.getSchema();
    c.getCatalog();
    c.isValid(1);
    c.setClientInfo("ApplicationName", "recorded");
    try (PreparedStatement p = c.prepareStatement("{fn now()}")) {
      p.execute();
    } catch (SQLException e) {
      // Said for its text alone.
    }
    c.setSchema("public");
  }

  static void show(ResultSet r) throws SQLException {
    int n = r.getMetaData().getColumnCount();
    while (r.next()) for (int i = 1; i <= n; i++) r.getString(i);
    r.close();
  }
}
