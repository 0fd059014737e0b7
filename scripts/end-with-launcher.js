// Preloaded by run24.js: no process is left behind when the launcher is killed.
import { endWithLauncher } from '../bin/relaunch.js'

endWithLauncher()
