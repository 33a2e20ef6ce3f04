// Run once by the image, on an empty database: the bot's own user, who may read and write its databases and nothing else.
const fs = require('fs');
const names = ['crypto_pipe', 'crypto_pipe_simulated', 'crypto_pipe_recorded', 'crypto_pipe_testnet'];

db.getSiblingDB('admin').createUser({
  user: 'crypto_pipe',
  pwd: fs.readFileSync('/run/secrets/mongo_bot_password', 'utf8').trim(),
  roles: names.map((name) => ({role: 'readWrite', db: name})),
});
