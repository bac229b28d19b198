# Rails' ActiveRecord: types, schema reflection, the schema dumper, rows.  (apt: ruby-activerecord ruby-pg)
require 'active_record'
require 'stringio'

ActiveRecord::Base.establish_connection(
  adapter: 'postgresql', host: '127.0.0.1', port: ENV['PGPORT'], username: ENV['PGUSER'], password: ENV['PGPASSWORD'],
  database: ENV['PGDATABASE'], schema_search_path: 'shop, public'
)
c = ActiveRecord::Base.connection
c.tables
c.views
c.schema_names
c.current_schema
c.encoding
c.collation
c.ctype
c.extensions
c.data_sources
c.enum_types if c.respond_to?(:enum_types)
c.tables.each do |t|
  [:columns, :indexes, :primary_keys, :foreign_keys, :check_constraints, :table_comment, :inherited_tables].each do |ask|
    c.public_send(ask, t) if c.respond_to?(ask)
  rescue StandardError
    nil
  end
  c.pk_and_sequence_for(t)
end
c.table_exists?('customers')
c.view_exists?('happy')
c.index_name_exists?('customers', 'customers_data')
c.column_exists?('customers', 'name')
begin
  ActiveRecord::SchemaDumper.dump(c, StringIO.new)
rescue StandardError
  nil
end
class Customer < ActiveRecord::Base
  self.ignored_columns = %w[home pairs]
end
Customer.where(id: 1..3).order(:id).to_a
Customer.find(5)
Customer.where('name like ?', '%1').count
Customer.joins('join shop.orders o on o.customer = customers.id').group(:name).order(:name).sum('o.total')
Customer.find_each(batch_size: 10) { |x| x }
Customer.transaction do
  Customer.transaction(requires_new: true) { Customer.where(id: 1).update_all(note: 'r') }
  Customer.lock.find(1)
  raise ActiveRecord::Rollback
end
c.exec_query('select $1::int + $2::int as s', 'SQL', [1, 2])
c.execute('explain (costs off) select 1')
c.supports_insert_on_conflict?
c.select_value('show server_version')
