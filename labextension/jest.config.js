const jupyterlab = require('@jupyterlab/testing/lib/jest-config')(__dirname);

// Published as ES modules only, so jest has to translate them like our own sources.
const modules = [
  '@codemirror',
  '@jupyter/',
  '@jupyterlab/',
  '@lumino',
  '@microsoft',
  '@rjsf',
  'exenv-es6',
  'lib0',
  'nanoid',
  'vscode-ws-jsonrpc',
  'y-protocols',
  'y-websocket',
  'yjs',
].join('|');

module.exports = {
  ...jupyterlab,
  reporters: ['default'],
  testRegex: 'src/__tests__/.*\\.spec\\.tsx?$',
  transformIgnorePatterns: [`/node_modules/(?!${modules}).+`],
  collectCoverageFrom: ['src/**/*.{ts,tsx}', '!src/**/__tests__/**'],
};
