/** On whose cloud this machine runs, by what its firmware says. No metadata service is asked: nothing goes over the network. */
import type { SystemFiles } from './system-files.ts'

const folder = '/sys/class/dmi/id'

interface Firmware {
  readonly vendor: string
  readonly product: string
  readonly bios: string
  readonly assetTag: string
}

/**
 * Microsoft and Google also make machines that are no cloud (Hyper-V at home, Chromebooks), so both need a second sign.
 * Source: the datasource detection of cloud-init, `tools/ds-identify`.
 */
const clouds: readonly (readonly [string, (firmware: Firmware) => boolean])[] = [
  ['aws', ({ vendor, bios, product }) => /^amazon ec2/i.test(vendor) || /amazon/i.test(bios) || /^amazon ec2/i.test(product)],
  ['gcp', ({ product }) => /^google (compute engine|cloud)/i.test(product)],
  ['azure', ({ assetTag }) => assetTag === '7783-7084-3265-9085-8269-3286-77'],
  ['oracle', ({ assetTag }) => assetTag === 'OracleCloud.com'],
  ['alibaba', ({ product, vendor }) => /^alibaba cloud/i.test(product) || /^alibaba cloud/i.test(vendor)],
  ['tencent', ({ vendor }) => /^tencent cloud/i.test(vendor)],
  ['digitalocean', ({ vendor }) => /^digitalocean/i.test(vendor)],
  ['hetzner', ({ vendor }) => /^hetzner/i.test(vendor)],
  ['akamai', ({ vendor }) => /^(akamai|linode)/i.test(vendor)],
  ['vultr', ({ vendor }) => /^vultr/i.test(vendor)],
  ['scaleway', ({ vendor }) => /^scaleway/i.test(vendor)],
  ['upcloud', ({ vendor }) => /^upcloud/i.test(vendor)],
  ['exoscale', ({ product }) => /^exoscale/i.test(product)],
  ['openstack', ({ product, assetTag }) => /^openstack (nova|compute)/i.test(product) || /^opentelekomcloud/i.test(assetTag)],
]

/** @returns undefined on a machine of one's own, and where the firmware cannot be read (many containers and micro-VMs). */
export async function detectCloud(files: SystemFiles): Promise<string | undefined> {
  const read = async (name: string): Promise<string> => (await files.read(`${folder}/${name}`)) ?? ''
  const firmware: Firmware = {
    vendor: await read('sys_vendor'),
    product: await read('product_name'),
    bios: `${await read('bios_vendor')} ${await read('bios_version')}`,
    assetTag: await read('chassis_asset_tag'),
  }
  return clouds.find(([, matches]) => matches(firmware))?.[0]
}
