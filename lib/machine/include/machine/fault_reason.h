/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fault reason codes of scalable mode, as they appear in the FR field of a fault record (VT-d
 * 7.1.3). A fault with a "qualified" reason is not recorded if FPD is set in a table entry on its
 * way.
 */
#pragma once

#include <cstdint>

namespace wd::machine
{

enum class FaultReason : uint8_t {
	None = 0x00, /**< success */

	InterruptRangeRequest = 0x29, /**< request to FEExxxxxh without PASID, not an interrupt */

	RootPointerMode = 0x30,	   /**< RTA.1: translation-table mode that is not supported */
	LegacyPasid = 0x31,	   /**< RTA.2: request with PASID in legacy mode */
	LegacyPageRequest = 0x32,  /**< RTA.3: page request in legacy mode */
	AbortDma = 0x33,	   /**< RTA.4: abort-DMA mode */
	ExecuteRequest = 0x34,	   /**< RTA.5: execute request (major version 8 and later) */
	RootNotReadable = 0x38,	   /**< SRT.1: no memory at the root entry */
	RootNotPresent = 0x39,	   /**< SRT.2: present bit of the root entry half is 0 */
	RootReserved = 0x3a,	   /**< SRT.3: reserved bit set in the root entry half */
	ContextNotReadable = 0x40, /**< SCT.1: no memory at the context entry */
	ContextNotPresent = 0x41,  /**< SCT.2: context entry P=0 */
	ContextReserved = 0x42,	   /**< SCT.3: reserved bit set in the context entry */
	ContextInvalid = 0x43,	   /**< SCT.4: PRE without DTE, RID_PASID too large, EPTR misuse */
	DeviceTlbDisabled = 0x44,  /**< SCT.5: translation or translated request with DTE=0 */
	PasidDisabled = 0x45,	   /**< SCT.6: request with PASID and PASIDE=0 */
	PasidBeyondDirectory = 0x46, /**< SCT.7: PASID larger than PDTS allows */
	PageRequestDisabled = 0x47,  /**< SCT.8: page request and PRE=0 */
	PasidIsRidPasid = 0x48,	     /**< SCT.9: request with PASID that names RID_PASID */
	TranslatedPasid = 0x49,	     /**< SCT.10: translated request with PASID and EPTR=0 */

	DirectoryNotReadable = 0x50,  /**< SPD.1: no memory at the PASID directory entry */
	DirectoryNotPresent = 0x51,   /**< SPD.2: PASID directory entry P=0 */
	DirectoryReserved = 0x52,     /**< SPD.3: reserved bit set in the directory entry */
	PasidEntryNotReadable = 0x58, /**< SPT.1: no memory at the PASID table entry */
	PasidEntryNotPresent = 0x59,  /**< SPT.2: PASID table entry P=0 */
	PasidEntryReserved = 0x5a,    /**< SPT.3: reserved bit set in the PASID table entry */
	PasidEntryInvalid = 0x5b,     /**< SPT.4: bad AW, PGTT, FSPM or FSPTPTR */
	ExecuteNotEnabled = 0x5c,     /**< SPT.5: execute request (major version 7 and earlier) */
	SupervisorNotEnabled = 0x5d,  /**< SPT.6: privileged request and SRE=0 */
	BeyondPermissionTable = 0x60, /**< SPT.9: translated address beyond the permission table */

	FirstStageNotReadable = 0x70,	 /**< SFS.1: no memory at a lower first-stage table */
	FirstStageNotPresent = 0x71,	 /**< SFS.2: first-stage entry P=0 */
	FirstStageReserved = 0x72,	 /**< SFS.3: reserved bit set in a first-stage entry */
	FirstStageTopNotReadable = 0x73, /**< SFS.4: no memory at the top first-stage table */
	FirstStageAddressWidth = 0x74,	 /**< SFS.5: nested, entry address too large */
	NestedTopNotReadable = 0x75,	 /**< SFS.6: nested, no read permission for the top table */
	NestedNotReadable = 0x76,	 /**< SFS.7: nested, no read permission for a lower table */
	NestedNotWritable = 0x77,	 /**< SFS.8: nested, A/D update without write permission */

	SecondStageNotReadable = 0x78,	    /**< SSS.1: no memory at a lower second-stage table */
	SecondStageNotPresent = 0x79,	    /**< SSS.2: R=W=0 in an entry, or over the whole walk */
	SecondStageReserved = 0x7a,	    /**< SSS.3: reserved bit set in a second-stage entry */
	SecondStageTopNotReadable = 0x7b,   /**< SSS.4: no memory at the top second-stage table */
	SecondStageUpdateNotSnooped = 0x7c, /**< SSS.5: A/D update needed, walks are not snooped */
	SecondStageUpdateFailed = 0x7d,	    /**< SSS.6: A/D update failed */

	NotCanonical = 0x80,		   /**< SGN.1: first-stage input is not canonical */
	UserDenied = 0x81,		   /**< SGN.2: user request and U/S=0 */
	AddressBeyondHaw = 0x83,	   /**< SGN.4: input of pass-through above the host width */
	AddressBeyondWidth = 0x84,	   /**< SGN.5: second-stage input above min(MGAW, AGAW) */
	WriteDenied = 0x85,		   /**< SGN.6: write or atomic without write permission */
	ReadDenied = 0x86,		   /**< SGN.7: read or atomic without read permission */
	InterruptRangeOutput = 0x87,	   /**< SGN.8: translated address in FEE00000h-FEEFFFFFh */
	PasidBeyondSupported = 0x89,	   /**< SGN.10: PASID above the PSS limit of the unit */
	FirstStageUpdateNotSnooped = 0x90, /**< SFS.9: A/D update needed, walks not snooped */
	FirstStageUpdateFailed = 0x91,	   /**< SFS.10: A/D update failed */
};

} // namespace wd::machine
