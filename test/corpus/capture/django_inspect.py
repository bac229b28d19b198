# Django's inspectdb and introspection, and what its ORM says.  (pip install django psycopg2-binary)
import os

import django
from django.conf import settings
from django.core.management import call_command

settings.configure(DATABASES={'default': {
    'ENGINE': 'django.db.backends.postgresql', 'NAME': os.environ['PGDATABASE'], 'USER': os.environ['PGUSER'],
    'PASSWORD': os.environ['PGPASSWORD'], 'HOST': '127.0.0.1', 'PORT': os.environ['PGPORT'],
    'OPTIONS': {'options': '-c search_path=shop,public'}}},
    INSTALLED_APPS=['django.contrib.contenttypes', 'django.contrib.auth'], USE_TZ=True)
django.setup()
from django.db import OperationalError, connection, models, transaction  # noqa: E402

null = open(os.devnull, 'w')
call_command('inspectdb', include_views=True, include_partitions=True, stdout=null)
with connection.cursor() as cursor:
    look = connection.introspection
    for table in look.get_table_list(cursor):
        try:
            look.get_table_description(cursor, table.name)
        except OperationalError:
            pass  # a materialized view that is not filled
        look.get_sequences(cursor, table.name)
        look.get_relations(cursor, table.name)
        look.get_constraints(cursor, table.name)
        look.get_primary_key_columns(cursor, table.name)


class Customer(models.Model):
    name = models.CharField(max_length=80)
    note = models.TextField(null=True)
    born = models.DateField()
    data = models.JSONField()

    class Meta:
        managed = False
        db_table = 'customers'
        app_label = 'shop'


list(Customer.objects.filter(name__icontains='1', born__year=1980).order_by('-id').values('id', 'name')[:3])
list(Customer.objects.filter(data__n__gt=20).annotate(u=models.functions.Upper('name')).order_by('id'))
Customer.objects.aggregate(models.Count('id'), models.Max('born'))
list(Customer.objects.defer('data').order_by('id').iterator(chunk_size=10))
try:
    with transaction.atomic():
        with transaction.atomic():
            Customer.objects.filter(id=1).update(note='x')
        Customer.objects.select_for_update().get(id=1)
        raise ValueError
except ValueError:
    pass
Customer.objects.filter(id=3).explain()
call_command('sqlflush', stdout=null)
