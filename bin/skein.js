#!/usr/bin/env node
// Plain old JavaScript on purpose: see relaunch.js.
'use strict'

var path = require('path')
var relaunch = require('./relaunch.js')

if (relaunch.isNewEnough()) require('./launch.mjs')
else relaunch.relaunch(path.join(__dirname, 'skein.js'), process.argv.slice(2))
