/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages of the vfio-user protocol 0.0 as a socket carries them (VFIOUSER-MSG-1): in the byte
 * order of the host, without padding.
 */
#pragma once

#include <cstddef>
#include <cstdint>

namespace wd::vfio_user
{

enum class Command : uint16_t {
	Version = 1,
	DmaMap = 2,
	DmaUnmap = 3,
	GetInfo = 4,
	GetRegionInfo = 5,
	GetRegionIoFds = 6,
	GetIrqInfo = 7,
	SetIrqs = 8,
	RegionRead = 9,
	RegionWrite = 10,
	DmaRead = 11,
	DmaWrite = 12,
	Reset = 13,
	RegionWriteMulti = 15,
	Feature = 16,
};

/* Header.flags. */
constexpr uint32_t kTypeMask = 0xf, kTypeCommand = 0, kTypeReply = 1;
constexpr uint32_t kNoReply = 0x10, kError = 0x20;

struct Header {
	uint16_t id = 0;
	uint16_t command = 0;
	uint32_t size = 0; /**< of the whole message */
	uint32_t flags = 0;
	uint32_t error = 0; /**< errno, in a reply with kError */
};
static_assert(sizeof(Header) == 16 && offsetof(Header, size) == 4 && offsetof(Header, error) == 12);

/** VERSION; JSON text with a terminating NUL may follow. */
struct Version {
	uint16_t major = 0, minor = 0;
};
static_assert(sizeof(Version) == 4 && offsetof(Version, minor) == 2);

constexpr uint32_t kDmaReadable = 1, kDmaWritable = 2, kDmaMmap = 4, kDmaFileIo = 8;

/** DMA_MAP */
struct DmaMap {
	uint32_t argsz = 0, flags = 0;
	uint64_t offset = 0, address = 0, size = 0;
};
static_assert(sizeof(DmaMap) == 32 && offsetof(DmaMap, offset) == 8 &&
	      offsetof(DmaMap, address) == 16 && offsetof(DmaMap, size) == 24);

constexpr uint32_t kUnmapDirtyBitmap = 1, kUnmapAll = 2;

/** DMA_UNMAP */
struct DmaUnmap {
	uint32_t argsz = 0, flags = 0;
	uint64_t address = 0, size = 0;
};
static_assert(sizeof(DmaUnmap) == 24 && offsetof(DmaUnmap, address) == 8 &&
	      offsetof(DmaUnmap, size) == 16);

constexpr uint32_t kDeviceReset = 1, kDevicePci = 2;

/** DEVICE_GET_INFO */
struct DeviceInfo {
	uint32_t argsz = 0, flags = 0, regions = 0, interrupts = 0;
};
static_assert(sizeof(DeviceInfo) == 16 && offsetof(DeviceInfo, interrupts) == 12);

/* DEVICE_GET_REGION_INFO */
constexpr uint32_t kRegionRom = 6, kRegionConfig = 7, kRegionVga = 8, kRegionCount = 9;
constexpr uint32_t kRegionRead = 1, kRegionWrite = 2, kRegionMmap = 4, kRegionCapabilities = 8;

struct RegionInfo {
	uint32_t argsz = 0, flags = 0, index = 0, capabilityOffset = 0;
	uint64_t size = 0, offset = 0;
};
static_assert(sizeof(RegionInfo) == 32 && offsetof(RegionInfo, capabilityOffset) == 12 &&
	      offsetof(RegionInfo, size) == 16 && offsetof(RegionInfo, offset) == 24);

constexpr uint16_t kCapabilitySparseMmap = 1;

struct SparseMmap {
	uint16_t id = kCapabilitySparseMmap, version = 1;
	uint32_t next = 0, areas = 0, reserved = 0;
};
static_assert(sizeof(SparseMmap) == 16 && offsetof(SparseMmap, areas) == 8);

struct SparseArea {
	uint64_t offset = 0, size = 0;
};
static_assert(sizeof(SparseArea) == 16);

/* DEVICE_GET_IRQ_INFO */
constexpr uint32_t kIrqIntx = 0, kIrqMsi = 1, kIrqMsix = 2, kIrqError = 3, kIrqRequest = 4;
constexpr uint32_t kIrqTypes = 5;
constexpr uint32_t kIrqEventFd = 1, kIrqMaskable = 2, kIrqAutoMasked = 4, kIrqNoResize = 8;

struct IrqInfo {
	uint32_t argsz = 0, flags = 0, index = 0, count = 0;
};
static_assert(sizeof(IrqInfo) == 16 && offsetof(IrqInfo, count) == 12);

/* DEVICE_SET_IRQS */
constexpr uint32_t kSetNone = 1, kSetBool = 2, kSetEventFd = 4, kSetData = 7;
constexpr uint32_t kSetMask = 8, kSetUnmask = 0x10, kSetTrigger = 0x20, kSetAction = 0x38;

/** For kSetBool, one byte per vector follows. */
struct IrqSet {
	uint32_t argsz = 0, flags = 0, index = 0, start = 0, count = 0;
};
static_assert(sizeof(IrqSet) == 20 && offsetof(IrqSet, count) == 16);

/** REGION_READ, REGION_WRITE; data follows a write command and a read reply. */
struct RegionAccess {
	uint64_t offset = 0;
	uint32_t region = 0, count = 0;
};
static_assert(sizeof(RegionAccess) == 16 && offsetof(RegionAccess, region) == 8 &&
	      offsetof(RegionAccess, count) == 12);

/** DMA_READ, DMA_WRITE; data follows a read reply. */
struct DmaAccess {
	uint64_t address = 0, count = 0;
};
static_assert(sizeof(DmaAccess) == 16 && offsetof(DmaAccess, count) == 8);

/* Limits of this server, as in its VERSION reply. */
constexpr uint32_t kMaxMessageFds = 16;
/**
 * The longest region access: QEMU reads the whole configuration space at once (VFIOUSER-REGION-3).
 */
constexpr uint32_t kMaxTransfer = 4096;
constexpr uint32_t kMaxDmaMaps = 4096;
/** With the header. Valid messages are much shorter. */
constexpr uint32_t kMaxMessage = 65536;

} // namespace wd::vfio_user
