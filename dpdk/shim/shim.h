/* What Rust calls: DPDK's inline functions, and its structures, which change from one release to
 * the next, behind small ones of our own. Functions return 0, or an errno value, unless they say
 * otherwise. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct rte_mbuf;
struct rte_mempool;

struct shim_setup {
	uint16_t queues;
	uint16_t receive_descriptors;
	uint16_t transmit_descriptors;
	/* 0: as the device has it. */
	uint16_t mtu;
	/* Whether to have checksums verified and filled in where the device can. */
	uint8_t checksums;
	/* One for each queue. */
	struct rte_mempool **pools;
};

struct shim_port {
	uint8_t mac[6];
	uint16_t mtu;
	uint16_t queues_max;
	uint16_t receive_descriptors;
	uint16_t transmit_descriptors;
	uint8_t verifies_checksums;
	uint8_t fills_checksums;
	uint8_t spreads;
	char driver[32];
};

struct shim_stats {
	uint64_t missed;
	uint64_t no_buffer;
	uint64_t receive_errors;
	uint64_t transmit_errors;
};

typedef void (*shim_log)(const char *text, size_t length);

/* Starts EAL in this thread; what it logs goes to `log`. */
int shim_init(int argc, char **argv, shim_log log);
/* Attaches a device, if EAL has not done so, and gives its port. */
int shim_attach(const char *device, uint16_t *port);
/* Stops and detaches it. */
int shim_detach(uint16_t port);
/* Configures the port and its queues, and starts it. */
int shim_start(uint16_t port, const struct shim_setup *setup, struct shim_port *found);
/* Brings a port that asked for it to where shim_start may be called again; ENOTSUP if its driver
 * cannot. */
int shim_reset(uint16_t port);
/* Stops a port. */
int shim_stop(uint16_t port);
/* What a port is able to, before it is started. */
int shim_info(uint16_t port, struct shim_port *found);
/* Whether the link is up: 1 or 0. */
int shim_link(uint16_t port);
int shim_stats(uint16_t port, struct shim_stats *stats);
/* Up to `most` extended statistics; returns how many there are, or less than 0. */
int shim_xstats(uint16_t port, char (*names)[64], uint64_t *values, unsigned most);
/* Calls back when the device asks to be reset. */
int shim_on_reset(uint16_t port, void (*wanted)(uint16_t port));
/* Runs the drivers' timers that are due; in the thread that called shim_init. */
void shim_timers(void);
/* Makes this thread known to DPDK, which gives it caches of its own. */
int shim_register_thread(void);

struct rte_mempool *shim_pool(const char *name, unsigned frames, uint16_t bytes, int *error);
void shim_free_pool(struct rte_mempool *pool);
int shim_alloc(struct rte_mempool *pool, struct rte_mbuf **frames, unsigned count);
void shim_free(struct rte_mbuf **frames, unsigned count);
uint16_t shim_receive(uint16_t port, uint16_t queue, struct rte_mbuf **frames, uint16_t most);
uint16_t shim_transmit(uint16_t port, uint16_t queue, struct rte_mbuf **frames, uint16_t count);
/* Marks a frame for the device to fill in IPv4 and TCP checksums. */
void shim_want_checksums(struct rte_mbuf *frame, uint16_t link_bytes, uint16_t ip_bytes,
			 int is_ipv4);
/* What drivers want done to such frames first; returns how many are fit to be sent. */
uint16_t shim_prepare(uint16_t port, uint16_t queue, struct rte_mbuf **frames, uint16_t count);
const char *shim_version(void);
