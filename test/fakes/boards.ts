import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { tempFolder } from '../support/folder.ts';

/** Path → content of the files by which a board tells what it is and how it does. */
export type FileTree = Record<string, string>;

function arm(cores: number, part: string, memoryKb: number): FileTree {
  const core = (n: number) =>
    `processor\t: ${n}\nBogoMIPS\t: 108.00\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU part\t: ${part}\n\n`;
  return {
    'proc/cpuinfo': `${Array.from({ length: cores }, (_, n) => core(n)).join('')}Revision\t: d04170\n`,
    'proc/meminfo': `MemTotal:       ${memoryKb} kB\nMemFree:         1000 kB\n`,
  };
}

const trixie = 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nNAME="Debian GNU/Linux"\n';
const bookworm = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nNAME="Debian GNU/Linux"\n';

function zone(n: number, type: string, temp: string): FileTree {
  return {
    [`sys/class/thermal/thermal_zone${n}/type`]: `${type}\n`,
    [`sys/class/thermal/thermal_zone${n}/temp`]: temp,
  };
}

export const pi4: FileTree = {
  ...arm(4, '0xd08', 3_884_320),
  ...zone(0, 'cpu-thermal', '61342\n'),
  'proc/device-tree/model': 'Raspberry Pi 4 Model B Rev 1.4\0',
  'proc/sys/kernel/osrelease': '6.12.34+rpt-rpi-v8\n',
  'etc/os-release': bookworm,
  'sys/devices/platform/soc/soc:firmware/get_throttled': '50005\n',
};

export const pi5: FileTree = {
  ...arm(4, '0xd0b', 8_255_776),
  ...zone(0, 'cpu-thermal', '48950\n'),
  'proc/device-tree/model': 'Raspberry Pi 5 Model B Rev 1.0\0',
  'proc/sys/kernel/osrelease': '6.12.47+rpt-rpi-2712\n',
  'etc/os-release': trixie,
  'sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled': '0\n',
};

/** A kernel that has only the driver for low voltage. */
export const zero2w: FileTree = {
  ...arm(4, '0xd03', 426_100),
  ...zone(0, 'cpu-thermal', '52078\n'),
  'proc/device-tree/model': 'Raspberry Pi Zero 2 W Rev 1.0\0',
  'proc/sys/kernel/osrelease': '6.6.74+rpt-rpi-v8\n',
  'etc/os-release': bookworm,
  'sys/class/hwmon/hwmon0/name': 'cpu_thermal\n',
  'sys/class/hwmon/hwmon1/name': 'rpi_volt\n',
  'sys/class/hwmon/hwmon1/in0_lcrit_alarm': '1\n',
};

export const orinNano: FileTree = {
  ...arm(6, '0xd42', 7_802_164),
  ...zone(0, 'cpu-thermal', '51500\n'),
  ...zone(1, 'gpu-thermal', '53281\n'),
  ...zone(2, 'cv0-thermal', ''),
  ...zone(8, 'tj-thermal', '53281\n'),
  'proc/device-tree/model': 'NVIDIA Jetson Orin Nano Developer Kit\0',
  'proc/sys/kernel/osrelease': '5.15.148-tegra\n',
  'etc/os-release': 'PRETTY_NAME="Ubuntu 22.04.5 LTS"\nNAME="Ubuntu"\n',
  'sys/class/thermal/cooling_device0/type': 'pwm-fan\n',
  'sys/class/thermal/cooling_device0/cur_state': '2\n',
  'sys/class/thermal/cooling_device8/type': 'cpu-throttle-alert\n',
  'sys/class/thermal/cooling_device8/cur_state': '0\n',
  'sys/class/thermal/cooling_device9/type': 'gpu-throttle-alert\n',
  'sys/class/thermal/cooling_device9/cur_state': '1\n',
  'sys/class/hwmon/hwmon3/name': 'soctherm_oc\n',
  'sys/class/hwmon/hwmon3/oc1_event_cnt': '0\n',
  'sys/class/hwmon/hwmon3/oc2_event_cnt': '0\n',
  'sys/class/hwmon/hwmon3/oc3_event_cnt': '27\n',
};

export const pc: FileTree = {
  ...zone(0, 'acpitz', '27800\n'),
  ...zone(1, 'x86_pkg_temp', '44000\n'),
  'proc/cpuinfo':
    'processor\t: 0\nmodel name\t: AMD EPYC 7B13\n\nprocessor\t: 1\nmodel name\t: AMD EPYC 7B13\n',
  'proc/meminfo': 'MemTotal:       16384000 kB\n',
  'proc/sys/kernel/osrelease': '6.1.0-18-amd64\n',
  'sys/class/dmi/id/sys_vendor': 'Example\n',
  'sys/class/dmi/id/product_name': 'Box 3000\n',
};

/** Writes the files below a new folder, which stands for `/`, and returns it. */
export function plant(tree: FileTree): string {
  const root = tempFolder();
  for (const [path, content] of Object.entries(tree)) {
    const file = join(root, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
  }
  return root;
}

/** Adds a program that answers as Raspberry Pi's `vcgencmd get_throttled`, and returns its path. */
export function plantVcgencmd(root: string, flags: string): string {
  const file = join(root, 'vcgencmd');
  writeFileSync(file, `#!/bin/sh\n[ "$1" = get_throttled ] && echo throttled=${flags}\n`);
  chmodSync(file, 0o755);
  return file;
}
