"""What the pages read. Every query is given the creditors it may look at; none counts a whole table."""
