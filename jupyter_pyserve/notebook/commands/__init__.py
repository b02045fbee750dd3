"""The commands of `%pyserve`: each module has the grammar of a few and what they do, and one table names them all."""
