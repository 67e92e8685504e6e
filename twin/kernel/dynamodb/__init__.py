"""Amazon DynamoDB, as far as a table with string keys needs it: own code, since half of all calls are its."""
