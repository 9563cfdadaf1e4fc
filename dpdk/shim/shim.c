#define _GNU_SOURCE
#include "shim.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_timer.h>
#include <rte_version.h>

/* What src/lib.rs reads and writes of a frame. */
_Static_assert(sizeof(struct rte_mbuf) == 128, "rte_mbuf");
_Static_assert(offsetof(struct rte_mbuf, buf_addr) == 0, "buf_addr");
_Static_assert(offsetof(struct rte_mbuf, data_off) == 16, "data_off");
_Static_assert(offsetof(struct rte_mbuf, nb_segs) == 20, "nb_segs");
_Static_assert(offsetof(struct rte_mbuf, ol_flags) == 24, "ol_flags");
_Static_assert(offsetof(struct rte_mbuf, pkt_len) == 36, "pkt_len");
_Static_assert(offsetof(struct rte_mbuf, data_len) == 40, "data_len");
_Static_assert(offsetof(struct rte_mbuf, buf_len) == 54, "buf_len");
_Static_assert(RTE_MBUF_F_RX_L4_CKSUM_BAD == 1ull << 3, "RX_L4_CKSUM_BAD");
_Static_assert(RTE_MBUF_F_RX_IP_CKSUM_BAD == 1ull << 4, "RX_IP_CKSUM_BAD");
_Static_assert(RTE_MBUF_F_RX_IP_CKSUM_GOOD == 1ull << 7, "RX_IP_CKSUM_GOOD");
_Static_assert(RTE_MBUF_F_RX_L4_CKSUM_GOOD == 1ull << 8, "RX_L4_CKSUM_GOOD");
_Static_assert(RTE_ETH_NAME_MAX_LEN == 64 && RTE_ETH_XSTATS_NAME_SIZE == 64, "names");

static shim_log logger;

static ssize_t log_write(void *cookie, const char *text, size_t length)
{
	(void)cookie;
	logger(text, length);
	return length;
}

int shim_init(int argc, char **argv, shim_log log)
{
	cookie_io_functions_t functions = { .write = log_write };
	FILE *stream;
	char text[4096];
	ssize_t length;
	int error = 0, out, err, nowhere, told;

	logger = log;
	stream = fopencookie(NULL, "w", functions);
	if (stream != NULL) {
		setvbuf(stream, NULL, _IOLBF, 1024);
		rte_openlog_stream(stream);
	}
	/* EAL prints its whole help when an argument is wrong, and some of why past its log. */
	fflush(stdout);
	fflush(stderr);
	out = dup(STDOUT_FILENO);
	nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
	dup2(nowhere, STDOUT_FILENO);
	err = dup(STDERR_FILENO);
	told = memfd_create("eal", MFD_CLOEXEC);
	if (told >= 0)
		dup2(told, STDERR_FILENO);
	if (rte_eal_init(argc, argv) < 0)
		error = rte_errno != 0 ? rte_errno : EINVAL;
	fflush(stdout);
	dup2(out, STDOUT_FILENO);
	close(out);
	close(nowhere);
	dup2(err, STDERR_FILENO);
	close(err);
	if (told >= 0) {
		length = pread(told, text, sizeof(text), 0);
		if (length > 0)
			log(text, length);
		close(told);
	}
	if (error != 0)
		return error;
	return rte_timer_subsystem_init() == 0 ? 0 : ENOMEM;
}

int shim_attach(const char *device, uint16_t *port)
{
	struct rte_dev_iterator found;
	char name[RTE_ETH_NAME_MAX_LEN];
	int error;

	/* The name is what stands before the first comma. */
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(device, ","), device);
	if (rte_eth_dev_get_port_by_name(name, port) == 0)
		return 0;
	error = rte_dev_probe(device);
	if (error != 0)
		return -error;
	RTE_ETH_FOREACH_MATCHING_DEV(*port, device, &found) {
		rte_eth_iterator_cleanup(&found);
		return 0;
	}
	return ENODEV;
}

int shim_detach(uint16_t port)
{
	struct rte_eth_dev_info info;
	int error = rte_eth_dev_info_get(port, &info);

	if (error != 0)
		return -error;
	rte_eth_dev_stop(port);
	rte_eth_dev_close(port);
	return -rte_dev_remove(info.device);
}

static void describe(const struct rte_eth_dev_info *info, struct shim_port *found)
{
	snprintf(found->driver, sizeof(found->driver), "%s", info->driver_name);
	found->queues_max = RTE_MIN(info->max_rx_queues, info->max_tx_queues);
}

int shim_info(uint16_t port, struct shim_port *found)
{
	struct rte_eth_dev_info info;
	int error = rte_eth_dev_info_get(port, &info);

	if (error != 0)
		return -error;
	describe(&info, found);
	return 0;
}

/* Spreads connections over queues by their addresses and ports. A device that cannot is left as
 * it is. */
static int spread(uint16_t port, const struct rte_eth_dev_info *info, uint16_t queues)
{
	struct rte_eth_rss_reta_entry64 table[8];
	uint16_t entry, size = RTE_MIN(info->reta_size, 8 * RTE_ETH_RETA_GROUP_SIZE);

	if (size == 0)
		return 0;
	memset(table, 0, sizeof(table));
	for (entry = 0; entry < size; entry++) {
		table[entry / RTE_ETH_RETA_GROUP_SIZE].mask |= 1ull << entry % RTE_ETH_RETA_GROUP_SIZE;
		table[entry / RTE_ETH_RETA_GROUP_SIZE].reta[entry % RTE_ETH_RETA_GROUP_SIZE] = entry % queues;
	}
	return rte_eth_dev_rss_reta_update(port, table, size) == 0;
}

int shim_start(uint16_t port, const struct shim_setup *setup, struct shim_port *found)
{
	static uint8_t key[64];
	struct rte_eth_dev_info info;
	struct rte_eth_conf conf;
	struct rte_eth_rxconf receive;
	struct rte_eth_txconf transmit;
	struct rte_ether_addr mac;
	const uint64_t rx_checksums = RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_CKSUM;
	const uint64_t tx_checksums = RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM;
	uint16_t queue, rx_descriptors, tx_descriptors;
	unsigned i;
	int error, socket = rte_eth_dev_socket_id(port);

	error = rte_eth_dev_info_get(port, &info);
	if (error != 0)
		return -error;
	memset(found, 0, sizeof(*found));
	describe(&info, found);
	if (setup->queues > found->queues_max)
		return EINVAL;

	memset(&conf, 0, sizeof(conf));
	if (setup->checksums && (info.rx_offload_capa & rx_checksums) == rx_checksums) {
		conf.rxmode.offloads |= rx_checksums;
		found->verifies_checksums = 1;
	}
	if (setup->checksums && (info.tx_offload_capa & tx_checksums) == tx_checksums) {
		conf.txmode.offloads |= tx_checksums;
		found->fills_checksums = 1;
	}
	/* Every frame sent comes from its queue's own pool and is nobody else's. */
	if (info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE)
		conf.txmode.offloads |= RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
	if (setup->queues > 1 && info.flow_type_rss_offloads != 0) {
		conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf.rx_adv_conf.rss_conf.rss_hf =
			info.flow_type_rss_offloads &
			(RTE_ETH_RSS_IPV4 | RTE_ETH_RSS_NONFRAG_IPV4_TCP | RTE_ETH_RSS_IPV6 |
			 RTE_ETH_RSS_NONFRAG_IPV6_TCP);
		/* Both directions of a connection hash alike. */
		if (info.hash_key_size > 0 && info.hash_key_size <= sizeof(key)) {
			for (i = 0; i < sizeof(key); i++)
				key[i] = i % 2 ? 0x5a : 0x6d;
			conf.rx_adv_conf.rss_conf.rss_key = key;
			conf.rx_adv_conf.rss_conf.rss_key_len = info.hash_key_size;
		}
	}
	error = rte_eth_dev_configure(port, setup->queues, setup->queues, &conf);
	if (error != 0 && conf.rx_adv_conf.rss_conf.rss_key != NULL) {
		/* A device with a key that cannot be changed. */
		conf.rx_adv_conf.rss_conf.rss_key = NULL;
		conf.rx_adv_conf.rss_conf.rss_key_len = 0;
		error = rte_eth_dev_configure(port, setup->queues, setup->queues, &conf);
	}
	if (error != 0)
		return -error;
	if (setup->mtu != 0) {
		error = rte_eth_dev_set_mtu(port, setup->mtu);
		if (error != 0)
			return -error;
	}

	rx_descriptors = setup->receive_descriptors;
	tx_descriptors = setup->transmit_descriptors;
	error = rte_eth_dev_adjust_nb_rx_tx_desc(port, &rx_descriptors, &tx_descriptors);
	if (error != 0)
		return -error;
	receive = info.default_rxconf;
	receive.offloads = conf.rxmode.offloads;
	transmit = info.default_txconf;
	transmit.offloads = conf.txmode.offloads;
	for (queue = 0; queue < setup->queues; queue++) {
		error = rte_eth_rx_queue_setup(port, queue, rx_descriptors, socket, &receive,
					       setup->pools[queue]);
		if (error == 0)
			error = rte_eth_tx_queue_setup(port, queue, tx_descriptors, socket, &transmit);
		if (error != 0)
			return -error;
	}
	error = rte_eth_dev_start(port);
	if (error != 0)
		return -error;

	/* Neighbour discovery asks by multicast. A device that cannot hear it may do without: on
	 * EC2 the network answers for its hosts. */
	rte_eth_allmulticast_enable(port);

	/* Some devices spread only once they run. */
	found->spreads = setup->queues > 1 && spread(port, &info, setup->queues);
	found->receive_descriptors = rx_descriptors;
	found->transmit_descriptors = tx_descriptors;
	error = rte_eth_macaddr_get(port, &mac);
	if (error == 0) {
		memcpy(found->mac, mac.addr_bytes, sizeof(found->mac));
		error = rte_eth_dev_get_mtu(port, &found->mtu);
	}
	return -error;
}

int shim_stop(uint16_t port)
{
	return -rte_eth_dev_stop(port);
}

int shim_reset(uint16_t port)
{
	return -rte_eth_dev_reset(port);
}

int shim_link(uint16_t port)
{
	struct rte_eth_link link;

	return rte_eth_link_get_nowait(port, &link) == 0 && link.link_status == RTE_ETH_LINK_UP;
}

int shim_stats(uint16_t port, struct shim_stats *stats)
{
	struct rte_eth_stats all;
	int error = rte_eth_stats_get(port, &all);

	if (error != 0)
		return -error;
	stats->missed = all.imissed;
	stats->no_buffer = all.rx_nombuf;
	stats->receive_errors = all.ierrors;
	stats->transmit_errors = all.oerrors;
	return 0;
}

int shim_xstats(uint16_t port, char (*names)[64], uint64_t *values, unsigned most)
{
	struct rte_eth_xstat_name named[256];
	struct rte_eth_xstat found[256];
	int count, i;

	most = RTE_MIN(most, RTE_DIM(found));
	count = rte_eth_xstats_get_names(port, named, most);
	if (count < 0 || (unsigned)count > most || rte_eth_xstats_get(port, found, most) != count)
		return -1;
	for (i = 0; i < count; i++) {
		memcpy(names[i], named[found[i].id].name, sizeof(names[i]));
		values[i] = found[i].value;
	}
	return count;
}

static int reset_wanted(uint16_t port, enum rte_eth_event_type event, void *wanted, void *unused)
{
	(void)event;
	(void)unused;
	((void (*)(uint16_t))wanted)(port);
	return 0;
}

int shim_on_reset(uint16_t port, void (*wanted)(uint16_t port))
{
	return -rte_eth_dev_callback_register(port, RTE_ETH_EVENT_INTR_RESET, reset_wanted,
					      (void *)wanted);
}

static void run_timer(struct rte_timer *timer)
{
	timer->f(timer, timer->arg);
}

void shim_timers(void)
{
	unsigned lcore = rte_lcore_id();

	rte_timer_alt_manage(0, &lcore, 1, run_timer);
}

int shim_register_thread(void)
{
	return rte_thread_register() == 0 ? 0 : rte_errno;
}

struct rte_mempool *shim_pool(const char *name, unsigned frames, uint16_t bytes, int *error)
{
	struct rte_mempool *pool = rte_pktmbuf_pool_create(
		name, frames, RTE_MIN(256u, frames / 4), 0, bytes + RTE_PKTMBUF_HEADROOM, SOCKET_ID_ANY);

	*error = pool == NULL ? rte_errno : 0;
	return pool;
}

void shim_free_pool(struct rte_mempool *pool)
{
	rte_mempool_free(pool);
}

int shim_alloc(struct rte_mempool *pool, struct rte_mbuf **frames, unsigned count)
{
	return rte_pktmbuf_alloc_bulk(pool, frames, count);
}

void shim_free(struct rte_mbuf **frames, unsigned count)
{
	rte_pktmbuf_free_bulk(frames, count);
}

uint16_t shim_receive(uint16_t port, uint16_t queue, struct rte_mbuf **frames, uint16_t most)
{
	return rte_eth_rx_burst(port, queue, frames, most);
}

uint16_t shim_transmit(uint16_t port, uint16_t queue, struct rte_mbuf **frames, uint16_t count)
{
	return rte_eth_tx_burst(port, queue, frames, count);
}

void shim_want_checksums(struct rte_mbuf *frame, uint16_t link_bytes, uint16_t ip_bytes,
			 int is_ipv4)
{
	frame->l2_len = link_bytes;
	frame->l3_len = ip_bytes;
	frame->ol_flags |= RTE_MBUF_F_TX_TCP_CKSUM;
	frame->ol_flags |= is_ipv4 ? RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM
				   : RTE_MBUF_F_TX_IPV6;
}

uint16_t shim_prepare(uint16_t port, uint16_t queue, struct rte_mbuf **frames, uint16_t count)
{
	return rte_eth_tx_prepare(port, queue, frames, count);
}

const char *shim_version(void)
{
	return rte_version();
}
