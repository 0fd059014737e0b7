/** The text of a launchd agent. Pure: writing and loading it is `service.ts`'s work. */
import type { ServiceProgram } from './systemd-unit.ts'
import { refuseControlCharacters } from './systemd-unit.ts'

export const launchdLabel = 'dev.skein.node'

/**
 * Starts at login and again after a crash. Source: launchd.plist(5).
 * @param logPath where standard output and error go; launchd has no journal.
 * @throws MeshError `bad-request` for a path or value with control characters.
 */
export function renderLaunchdPlist(program: ServiceProgram, logPath: string): string {
  const strings = (values: readonly string[]): string[] => values.map((value) => `    <string>${escapeXml(value)}</string>`)
  const environment = Object.entries(program.env).flatMap(([name, value]) => [`    <key>${escapeXml(name)}</key>`, `    <string>${escapeXml(value)}</string>`])
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">',
    '<!-- Written by `skein service install`; `skein service remove` deletes it. -->',
    '<plist version="1.0">',
    '<dict>',
    '  <key>Label</key>',
    `  <string>${launchdLabel}</string>`,
    '  <key>ProgramArguments</key>',
    '  <array>',
    ...strings([program.nodePath, program.binPath, ...program.args]),
    '  </array>',
    ...(environment.length === 0 ? [] : ['  <key>EnvironmentVariables</key>', '  <dict>', ...environment, '  </dict>']),
    '  <key>RunAtLoad</key>',
    '  <true/>',
    '  <key>KeepAlive</key>',
    '  <dict>',
    '    <key>SuccessfulExit</key>',
    '    <false/>',
    '  </dict>',
    '  <key>ExitTimeOut</key>',
    `  <integer>${Math.ceil(program.stopTimeoutMs / 1_000)}</integer>`,
    '  <key>StandardOutPath</key>',
    `  <string>${escapeXml(logPath)}</string>`,
    '  <key>StandardErrorPath</key>',
    `  <string>${escapeXml(logPath)}</string>`,
    '</dict>',
    '</plist>',
    '',
  ].join('\n')
}

export function escapeXml(text: string): string {
  refuseControlCharacters(text)
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;').replaceAll("'", '&apos;')
}
