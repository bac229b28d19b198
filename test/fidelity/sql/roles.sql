-- Roles that both servers have.
create role reader;
create role "Röle; ""drop"" 🐘" login;
create role app_owner;
