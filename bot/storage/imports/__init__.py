"""The exchanges' own history into the archive: each row once, however often an import is begun."""
