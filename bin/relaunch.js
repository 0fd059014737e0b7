// Plain old JavaScript on purpose: this file must parse on any Node, so that a too-old one gets a sentence and not a syntax error.
'use strict'

var fs = require('fs')
var path = require('path')
var spawn = require('child_process').spawn

var majorMin = 24

function isNewEnough() {
  return parseInt(process.versions.node, 10) >= majorMin
}

/** @returns {string | undefined} this very Node when it is new enough, else the binary of the npm package `node`, when that is installed here */
function findNode() {
  if (isNewEnough()) return process.execPath
  var root = path.join(__dirname, '..')
  var places = [path.join(root, 'node_modules', 'node'), path.join(root, '..', 'node')]
  for (var i = 0; i < places.length; i += 1) {
    var binary = path.join(places[i], 'bin', 'node')
    try {
      var version = JSON.parse(fs.readFileSync(path.join(places[i], 'package.json'), 'utf8')).version
      if (parseInt(version, 10) >= majorMin && fs.statSync(binary).size > 0) return binary
    } catch (missing) {
      // not installed in this place: look in the next
    }
  }
  return undefined
}

/**
 * Runs a script again under Node 24 and ends as it ends: same output, same exit code, same signal.
 * Without a Node 24 to be found it says what to do and ends with exit code 2.
 *
 * @param {string} script path of the script
 * @param {string[]} argv its arguments
 * @param {string[]} [nodeOptions] options for Node itself
 */
function relaunch(script, argv, nodeOptions) {
  var binary = findNode()
  if (binary === undefined) {
    process.stderr.write(
      'skein needs Node ' + majorMin + ' or newer; this is Node ' + process.versions.node + '.\n' +
      'Install it from https://nodejs.org (or `npm install --global node@' + majorMin + '`), or, in a clone of Skein, run `npm ci`, which brings its own.\n'
    )
    process.exitCode = 2
    return
  }
  // The channel carries no messages: it closes when this process dies, kill -9 included, and endWithLauncher() then ends the child.
  process.env.SKEIN_LAUNCHER = String(process.pid)
  var child = spawn(binary, (nodeOptions || []).concat([script], argv), { stdio: ['inherit', 'inherit', 'inherit', 'ipc'] })
  // A terminal sends Ctrl-C and a hang-up to the child as well; passing them on would make two of one, and a second one means "at once".
  var terminal = Boolean(process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY)
  var pass = function (signal) {
    return function () {
      if (signal === 'SIGTERM' || !terminal) child.kill(signal)
    }
  }
  var listeners = { SIGINT: pass('SIGINT'), SIGTERM: pass('SIGTERM'), SIGHUP: pass('SIGHUP') }
  Object.keys(listeners).forEach(function (signal) { process.on(signal, listeners[signal]) })
  child.on('error', function (error) {
    process.stderr.write('skein could not start ' + binary + ': ' + error.message + '\nRun `npm ci` again, or use Node ' + majorMin + ' itself.\n')
    process.exitCode = 2
  })
  child.on('exit', function (code, signal) {
    Object.keys(listeners).forEach(function (name) { process.removeListener(name, listeners[name]) })
    if (signal) process.kill(process.pid, signal)
    else process.exitCode = code
  })
}

/**
 * In the relaunched process: ends it, gently, when the process that launched it is gone.
 * Does nothing in a process that was started directly.
 */
function endWithLauncher() {
  var launched = process.env.SKEIN_LAUNCHER === String(process.ppid)
  delete process.env.SKEIN_LAUNCHER
  if (!launched || !process.channel) return
  process.once('disconnect', function () { process.kill(process.pid, 'SIGTERM') })
  process.channel.unref()
}

exports.isNewEnough = isNewEnough
exports.relaunch = relaunch
exports.endWithLauncher = endWithLauncher
