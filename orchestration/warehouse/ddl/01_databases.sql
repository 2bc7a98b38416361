-- The layers. Marts live in one database per source, which is created with them.
create database if not exists raw;
create database if not exists ops;
create database if not exists staging;
create database if not exists intermediate;
