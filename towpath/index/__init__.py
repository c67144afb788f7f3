"""What happened to each order, which dead letters are open and what a thing is called elsewhere: read from the topics, and rebuilt from them."""
