"""The EC2 instance types that a world may use, as data: the common families under ECS.

Source: EC2 API, DescribeInstanceTypes. An instance type that is not in the table raises `Unmodelled` when a world
launches it, so that no fleet is ever rehearsed on invented capacity.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from twin.errors import Unmodelled


@dataclass(frozen=True)
class InstanceType:
    """What ECS and planners need to know of an instance type.

    Attributes:
        memory_mib: physical memory; what the agent registers is less.
        enis: network interfaces at most, the primary one included.
        ips_per_eni: IPv4 addresses of one interface.
        gpu_memory_mib: of one GPU.
    """

    name: str
    vcpus: int
    cores: int
    memory_mib: int
    enis: int
    ips_per_eni: int
    architecture: str
    manufacturer: str
    gpus: int = 0
    gpu_name: str = ""
    gpu_memory_mib: int = 0

    @property
    def burstable(self) -> bool:
        return self.name.startswith("t")

    def describe(self) -> dict[str, Any]:
        """As DescribeInstanceTypes shows it."""
        shown: dict[str, Any] = {
            "InstanceType": self.name,
            "CurrentGeneration": True,
            "FreeTierEligible": False,
            "SupportedUsageClasses": ["on-demand", "spot"],
            "SupportedRootDeviceTypes": ["ebs"],
            "SupportedVirtualizationTypes": ["hvm"],
            "BareMetal": False,
            "Hypervisor": "nitro",
            "ProcessorInfo": {"SupportedArchitectures": [self.architecture], "Manufacturer": self.manufacturer},
            "VCpuInfo": {
                "DefaultVCpus": self.vcpus,
                "DefaultCores": self.cores,
                "DefaultThreadsPerCore": self.vcpus // self.cores,
            },
            "MemoryInfo": {"SizeInMiB": self.memory_mib},
            "NetworkInfo": {
                "MaximumNetworkInterfaces": self.enis,
                "MaximumNetworkCards": 1,
                "Ipv4AddressesPerInterface": self.ips_per_eni,
                "EnaSupport": "required",
            },
            "BurstablePerformanceSupported": self.burstable,
        }
        if self.gpus:
            gpu = {
                "Name": self.gpu_name,
                "Manufacturer": "NVIDIA",
                "Count": self.gpus,
                "MemoryInfo": {"SizeInMiB": self.gpu_memory_mib},
            }
            shown["GpuInfo"] = {"Gpus": [gpu], "TotalGpuMemoryInMiB": self.gpus * self.gpu_memory_mib}
        return shown


# name, vCPUs, cores, memory in MiB, interfaces, IPv4 addresses of each, architecture, maker[, GPUs, name, MiB of each]
_TABLE = """
    t3.nano 2 1 512 2 2 x86_64 Intel
    t3.micro 2 1 1024 2 2 x86_64 Intel
    t3.small 2 1 2048 3 4 x86_64 Intel
    t3.medium 2 1 4096 3 6 x86_64 Intel
    t3.large 2 1 8192 3 12 x86_64 Intel
    t3.xlarge 4 2 16384 4 15 x86_64 Intel
    t3.2xlarge 8 4 32768 4 15 x86_64 Intel
    t3a.nano 2 1 512 2 2 x86_64 AMD
    t3a.micro 2 1 1024 2 2 x86_64 AMD
    t3a.small 2 1 2048 2 4 x86_64 AMD
    t3a.medium 2 1 4096 3 6 x86_64 AMD
    t3a.large 2 1 8192 3 12 x86_64 AMD
    t3a.xlarge 4 2 16384 4 15 x86_64 AMD
    t3a.2xlarge 8 4 32768 4 15 x86_64 AMD
    t4g.nano 2 2 512 2 2 arm64 AWS
    t4g.micro 2 2 1024 2 2 arm64 AWS
    t4g.small 2 2 2048 3 4 arm64 AWS
    t4g.medium 2 2 4096 3 6 arm64 AWS
    t4g.large 2 2 8192 3 12 arm64 AWS
    t4g.xlarge 4 4 16384 4 15 arm64 AWS
    t4g.2xlarge 8 8 32768 4 15 arm64 AWS
    m5.large 2 1 8192 3 10 x86_64 Intel
    m5.xlarge 4 2 16384 4 15 x86_64 Intel
    m5.2xlarge 8 4 32768 4 15 x86_64 Intel
    m5.4xlarge 16 8 65536 8 30 x86_64 Intel
    m5.8xlarge 32 16 131072 8 30 x86_64 Intel
    m5.12xlarge 48 24 196608 8 30 x86_64 Intel
    m5.16xlarge 64 32 262144 15 50 x86_64 Intel
    m5.24xlarge 96 48 393216 15 50 x86_64 Intel
    m5a.large 2 1 8192 3 10 x86_64 AMD
    m5a.xlarge 4 2 16384 4 15 x86_64 AMD
    m5a.2xlarge 8 4 32768 4 15 x86_64 AMD
    m5a.4xlarge 16 8 65536 8 30 x86_64 AMD
    m5a.8xlarge 32 16 131072 8 30 x86_64 AMD
    m5a.12xlarge 48 24 196608 8 30 x86_64 AMD
    m5a.16xlarge 64 32 262144 15 50 x86_64 AMD
    m5a.24xlarge 96 48 393216 15 50 x86_64 AMD
    m6i.large 2 1 8192 3 10 x86_64 Intel
    m6i.xlarge 4 2 16384 4 15 x86_64 Intel
    m6i.2xlarge 8 4 32768 4 15 x86_64 Intel
    m6i.4xlarge 16 8 65536 8 30 x86_64 Intel
    m6i.8xlarge 32 16 131072 8 30 x86_64 Intel
    m6i.12xlarge 48 24 196608 8 30 x86_64 Intel
    m6i.16xlarge 64 32 262144 15 50 x86_64 Intel
    m6i.24xlarge 96 48 393216 15 50 x86_64 Intel
    m6i.32xlarge 128 64 524288 15 50 x86_64 Intel
    m6g.medium 1 1 4096 2 4 arm64 AWS
    m6g.large 2 2 8192 3 10 arm64 AWS
    m6g.xlarge 4 4 16384 4 15 arm64 AWS
    m6g.2xlarge 8 8 32768 4 15 arm64 AWS
    m6g.4xlarge 16 16 65536 8 30 arm64 AWS
    m6g.8xlarge 32 32 131072 8 30 arm64 AWS
    m6g.12xlarge 48 48 196608 8 30 arm64 AWS
    m6g.16xlarge 64 64 262144 15 50 arm64 AWS
    m7i.large 2 1 8192 3 10 x86_64 Intel
    m7i.xlarge 4 2 16384 4 15 x86_64 Intel
    m7i.2xlarge 8 4 32768 4 15 x86_64 Intel
    m7i.4xlarge 16 8 65536 8 30 x86_64 Intel
    m7i.8xlarge 32 16 131072 8 30 x86_64 Intel
    m7i.12xlarge 48 24 196608 8 30 x86_64 Intel
    m7i.16xlarge 64 32 262144 15 50 x86_64 Intel
    m7i.24xlarge 96 48 393216 15 50 x86_64 Intel
    m7i.48xlarge 192 96 786432 15 50 x86_64 Intel
    m7g.medium 1 1 4096 2 4 arm64 AWS
    m7g.large 2 2 8192 3 10 arm64 AWS
    m7g.xlarge 4 4 16384 4 15 arm64 AWS
    m7g.2xlarge 8 8 32768 4 15 arm64 AWS
    m7g.4xlarge 16 16 65536 8 30 arm64 AWS
    m7g.8xlarge 32 32 131072 8 30 arm64 AWS
    m7g.12xlarge 48 48 196608 8 30 arm64 AWS
    m7g.16xlarge 64 64 262144 15 50 arm64 AWS
    c5.large 2 1 4096 3 10 x86_64 Intel
    c5.xlarge 4 2 8192 4 15 x86_64 Intel
    c5.2xlarge 8 4 16384 4 15 x86_64 Intel
    c5.4xlarge 16 8 32768 8 30 x86_64 Intel
    c5.9xlarge 36 18 73728 8 30 x86_64 Intel
    c5.12xlarge 48 24 98304 8 30 x86_64 Intel
    c5.18xlarge 72 36 147456 15 50 x86_64 Intel
    c5.24xlarge 96 48 196608 15 50 x86_64 Intel
    c6i.large 2 1 4096 3 10 x86_64 Intel
    c6i.xlarge 4 2 8192 4 15 x86_64 Intel
    c6i.2xlarge 8 4 16384 4 15 x86_64 Intel
    c6i.4xlarge 16 8 32768 8 30 x86_64 Intel
    c6i.8xlarge 32 16 65536 8 30 x86_64 Intel
    c6i.12xlarge 48 24 98304 8 30 x86_64 Intel
    c6i.16xlarge 64 32 131072 15 50 x86_64 Intel
    c6i.24xlarge 96 48 196608 15 50 x86_64 Intel
    c6i.32xlarge 128 64 262144 15 50 x86_64 Intel
    c6g.medium 1 1 2048 2 4 arm64 AWS
    c6g.large 2 2 4096 3 10 arm64 AWS
    c6g.xlarge 4 4 8192 4 15 arm64 AWS
    c6g.2xlarge 8 8 16384 4 15 arm64 AWS
    c6g.4xlarge 16 16 32768 8 30 arm64 AWS
    c6g.8xlarge 32 32 65536 8 30 arm64 AWS
    c6g.12xlarge 48 48 98304 8 30 arm64 AWS
    c6g.16xlarge 64 64 131072 15 50 arm64 AWS
    c7g.medium 1 1 2048 2 4 arm64 AWS
    c7g.large 2 2 4096 3 10 arm64 AWS
    c7g.xlarge 4 4 8192 4 15 arm64 AWS
    c7g.2xlarge 8 8 16384 4 15 arm64 AWS
    c7g.4xlarge 16 16 32768 8 30 arm64 AWS
    c7g.8xlarge 32 32 65536 8 30 arm64 AWS
    c7g.12xlarge 48 48 98304 8 30 arm64 AWS
    c7g.16xlarge 64 64 131072 15 50 arm64 AWS
    r5.large 2 1 16384 3 10 x86_64 Intel
    r5.xlarge 4 2 32768 4 15 x86_64 Intel
    r5.2xlarge 8 4 65536 4 15 x86_64 Intel
    r5.4xlarge 16 8 131072 8 30 x86_64 Intel
    r5.8xlarge 32 16 262144 8 30 x86_64 Intel
    r5.12xlarge 48 24 393216 8 30 x86_64 Intel
    r5.16xlarge 64 32 524288 15 50 x86_64 Intel
    r5.24xlarge 96 48 786432 15 50 x86_64 Intel
    r6i.large 2 1 16384 3 10 x86_64 Intel
    r6i.xlarge 4 2 32768 4 15 x86_64 Intel
    r6i.2xlarge 8 4 65536 4 15 x86_64 Intel
    r6i.4xlarge 16 8 131072 8 30 x86_64 Intel
    r6i.8xlarge 32 16 262144 8 30 x86_64 Intel
    r6i.12xlarge 48 24 393216 8 30 x86_64 Intel
    r6i.16xlarge 64 32 524288 15 50 x86_64 Intel
    r6i.24xlarge 96 48 786432 15 50 x86_64 Intel
    r6i.32xlarge 128 64 1048576 15 50 x86_64 Intel
    r6g.medium 1 1 8192 2 4 arm64 AWS
    r6g.large 2 2 16384 3 10 arm64 AWS
    r6g.xlarge 4 4 32768 4 15 arm64 AWS
    r6g.2xlarge 8 8 65536 4 15 arm64 AWS
    r6g.4xlarge 16 16 131072 8 30 arm64 AWS
    r6g.8xlarge 32 32 262144 8 30 arm64 AWS
    r6g.12xlarge 48 48 393216 8 30 arm64 AWS
    r6g.16xlarge 64 64 524288 15 50 arm64 AWS
    g4dn.xlarge 4 2 16384 3 10 x86_64 Intel 1 T4 16384
    g4dn.2xlarge 8 4 32768 3 10 x86_64 Intel 1 T4 16384
    g4dn.4xlarge 16 8 65536 3 10 x86_64 Intel 1 T4 16384
    g4dn.8xlarge 32 16 131072 4 15 x86_64 Intel 1 T4 16384
    g4dn.12xlarge 48 24 196608 8 30 x86_64 Intel 4 T4 16384
    g4dn.16xlarge 64 32 262144 4 15 x86_64 Intel 1 T4 16384
    g5.xlarge 4 2 16384 4 15 x86_64 AMD 1 A10G 22888
    g5.2xlarge 8 4 32768 4 15 x86_64 AMD 1 A10G 22888
    g5.4xlarge 16 8 65536 8 30 x86_64 AMD 1 A10G 22888
    g5.8xlarge 32 16 131072 8 30 x86_64 AMD 1 A10G 22888
    g5.12xlarge 48 24 196608 15 50 x86_64 AMD 4 A10G 22888
    g5.16xlarge 64 32 262144 8 30 x86_64 AMD 1 A10G 22888
    g5.24xlarge 96 48 393216 15 50 x86_64 AMD 4 A10G 22888
    g5.48xlarge 192 96 786432 7 50 x86_64 AMD 8 A10G 22888
"""


def _parse(line: str) -> InstanceType:
    name, vcpus, cores, memory, enis, ips, architecture, maker, *gpu = line.split()
    base = (name, int(vcpus), int(cores), int(memory), int(enis), int(ips), architecture, maker)
    return InstanceType(*base, int(gpu[0]), gpu[1], int(gpu[2])) if gpu else InstanceType(*base)


INSTANCE_TYPES: dict[str, InstanceType] = {
    kind.name: kind for kind in (_parse(line) for line in _TABLE.strip().splitlines())
}


def instance_type(name: str) -> InstanceType:
    """The type named `name`; Unmodelled if the table lacks it."""
    found = INSTANCE_TYPES.get(name)
    if found is None:
        raise Unmodelled(f"EC2 instance type {name!r} is not in the twin's table (twin/neighbours/instance_types.py)")
    return found
