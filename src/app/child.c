// SPDX-License-Identifier: GPL-3.0-or-later
/* Starting one child: its descriptors, its channel to the keeper, its life from fork to exit status. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "app/supervisor.h"
#include "ipc/ipc.h"
#include "util/log.h"
#include "util/secure.h"
#include "util/text.h"

enum {
	CHANNEL_BUFFER = 1 << 20 /* bytes that may wait between api and keeper */
};

static int compare_ints(const void *a, const void *b)
{
	int x = *(const int *)a, y = *(const int *)b;
	return (x > y) - (x < y);
}

/* A child keeps the standard descriptors and those named, nothing else: no other child's sockets or channels.
 */
static void close_all_but(int *keep, size_t count)
{
	unsigned next = 3;
	qsort(keep, count, sizeof *keep, compare_ints);
	for (size_t i = 0; i < count; i++) {
		if (keep[i] < (int)next)
			continue;
		if ((unsigned)keep[i] > next)
			close_range(next, (unsigned)keep[i] - 1, 0);
		next = (unsigned)keep[i] + 1;
	}
	close_range(next, ~0u, 0);
}

/* Everything a child needs besides the settings. */
struct inheritance {
	int stop;
	int channel; /* api, agent: its own end */
	int line;    /* its end of struct child's */
	int control; /* keeper: its end */
	int channels[KEEPER_CHANNELS];
	size_t channel_count; /* keeper: its ends of the channels of all askers but */
	int agents[KEEPER_CHANNELS];
	size_t agent_count; /* the agent's */
};

static struct dns_sockets dns_sockets_of(const struct supervisor *s, const struct child *c)
{
	if (c->role == ROLE_DNS)
		return sockets_of_worker(s->sockets, s->settings.conf, c->index);
	return c->role == ROLE_DOT ? sockets_of_dot(s->sockets, s->settings.conf)
				   : (struct dns_sockets){.count = 0};
}

static bool speaks_tls(enum role role)
{
	return role == ROLE_API || role == ROLE_DOT;
}

static int keep_own(const struct supervisor *s, const struct child *c, const struct inheritance *in)
{
	const struct sockets *k = s->sockets;
	struct dns_sockets dns = dns_sockets_of(s, c);
	/* stop, channel, line, certificate, control, admin, and whichever of the others the role has */
	size_t count = 0, room = 6 + 2 * KEEPER_CHANNELS + 2 * dns.count + dns.tls_count + k->api_count +
				 k->metrics_count;
	int *keep = calloc(room, sizeof *keep);
	if (!keep)
		return ERR_NOMEM;
	keep[count++] = in->stop;
	for (size_t i = 0; i < dns.count; i++) {
		keep[count++] = dns.udp[i];
		keep[count++] = dns.tcp[i];
	}
	for (size_t i = 0; i < dns.tls_count; i++)
		keep[count++] = dns.tls[i];
	for (size_t i = 0; c->role == ROLE_API && i < k->api_count; i++)
		keep[count++] = k->api[i];
	for (size_t i = 0; c->role == ROLE_API && i < k->metrics_count; i++)
		keep[count++] = k->metrics[i];
	if (c->role == ROLE_API || c->role == ROLE_AGENT)
		keep[count++] = in->channel;
	keep[count++] = in->line;
	if (speaks_tls(c->role))
		keep[count++] = s->certificate;
	if (c->role == ROLE_KEEPER) {
		keep[count++] = in->control;
		keep[count++] = k->admin.fd;
	}
	for (size_t i = 0; i < in->channel_count; i++)
		keep[count++] = in->channels[i];
	for (size_t i = 0; i < in->agent_count; i++)
		keep[count++] = in->agents[i];
	close_all_but(keep, count);
	free(keep);
	return OK;
}

static const char *const role_names[ROLES] = {"keeper", "dns", "dot", "api", "agent"};

static void name_role(enum role role, unsigned index, char out[static 16])
{
	int rc = role == ROLE_DNS ? text_format(out, 16, "dns%u", index)
				  : text_format(out, 16, "%s", role_names[role]);
	(void)rc; /* worker numbers are short */
}

void child_name(const struct child *c, char out[static 16])
{
	name_role(c->role, c->index, out);
}

/* The supervisor's word to stop becomes readable. A signal of its own, so that a SIGTERM or SIGINT sent to
 * the whole group (by a terminal, or a service manager) reaches only the supervisor, which ends its children
 * in order. */
static int child_stop_fd(void)
{
	sigset_t mask, stop;
	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGHUP);
	sigaddset(&mask, CHILD_STOP_SIGNAL);
	sigemptyset(&stop);
	sigaddset(&stop, CHILD_STOP_SIGNAL);
	if (sigprocmask(SIG_SETMASK, &mask, NULL))
		return -1;
	return signalfd(-1, &stop, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* The keeper writes the index, who answers DNS reads it, nobody else has it. */
static int keep_index(struct supervisor *s, enum role role)
{
	if (!s->index || role == ROLE_KEEPER)
		return OK;
	if (role == ROLE_DNS || role == ROLE_DOT)
		return delegate_index_read_only(s->index);
	delegate_index_free(&s->index);
	return OK;
}

static struct dns_memory memory_for(const struct supervisor *s, const struct child *c)
{
	unsigned process = c->role == ROLE_DOT ? s->sockets->workers : c->index;
	/* What was filled from a damaged store may lack names. */
	bool usable = !s->damage.damaged || s->damage.verified;
	return (struct dns_memory){.index = usable ? s->index : NULL,
		.witness = s->witness,
		.ring = c->generation % COUNTERS_GENERATIONS * (s->sockets->workers + 1) + process,
		.store_damaged = s->damage.damaged};
}

/* The keeper reports on the others, the api shows their numbers. */
static enum board_access access_of(enum role role)
{
	if (role == ROLE_KEEPER || role == ROLE_API)
		return BOARD_READER;
	return role == ROLE_DNS || role == ROLE_DOT ? BOARD_NOTHING : BOARD_AGENT;
}

/* Who does not answer DNS can forge no cookies; who is not the keeper has not even the digest of the
 * operator's token. */
static void keep_memory(struct supervisor *s, const struct child *c)
{
	enum role role = c->role;
	bool dns = role == ROLE_DNS || role == ROLE_DOT;
	board_keep(s->board, child_place(s, role, c->index, c->generation), access_of(role));
	if (!dns)
		secure_wipe(&s->settings.cookies, sizeof s->settings.cookies);
	if (role == ROLE_KEEPER)
		return;
	secure_wipe(s->settings.operator_digest, sizeof s->settings.operator_digest);
	if (dns)
		return;
	witness_free(&s->witness);
}

/* The dns workers behind one of each other role. */
static unsigned places_of_generation(const struct supervisor *s)
{
	return ROLES + s->sockets->workers;
}

unsigned child_places(const struct supervisor *s)
{
	return COUNTERS_GENERATIONS * places_of_generation(s);
}

unsigned child_place(const struct supervisor *s, enum role role, unsigned index, unsigned generation)
{
	unsigned place = role == ROLE_DNS ? ROLES + index : role;
	return generation % COUNTERS_GENERATIONS * places_of_generation(s) + place;
}

static unsigned workers_of(const struct board *b)
{
	return board_places(b) / COUNTERS_GENERATIONS - ROLES;
}

enum role place_role(const struct board *b, unsigned place, unsigned *index)
{
	unsigned within = place % (ROLES + workers_of(b));
	*index = within < ROLES ? 0 : within - ROLES;
	return within < ROLES ? (enum role)within : ROLE_DNS;
}

void place_name(const struct board *b, unsigned place, char out[static 16])
{
	unsigned index;
	enum role role = place_role(b, place, &index);
	name_role(role, index, out);
}

static int run_body(struct supervisor *s, const struct child *c, const struct inheritance *in)
{
	const struct board_seat seat = {s->board, child_place(s, c->role, c->index, c->generation)};
	struct dns_sockets dns = dns_sockets_of(s, c);
	const struct dns_memory memory = memory_for(s, c);
	const struct keeper_inheritance keeper = {.index = s->index,
		.witness = s->witness,
		.admin = s->sockets->admin.fd,
		.channels = in->channels,
		.channel_count = in->channel_count,
		.agents = in->agents,
		.agent_count = in->agent_count,
		.control = in->control,
		.store_damaged = s->damage.damaged};
	const struct own_certificate own = {speaks_tls(c->role) ? s->certificate : -1, in->line};
	switch (c->role) {
	case ROLE_KEEPER:
		return keeper_process_run(&s->settings, &seat, &keeper, in->stop);
	case ROLE_DNS:
	case ROLE_DOT:
		return dns_process_run(&s->settings, &seat, &dns, &memory, &own, in->stop);
	case ROLE_AGENT:
		return agent_process_run(&s->settings, &seat, in->channel, in->line, !c->again, in->stop);
	default:
		return api_process_run(&s->settings, &seat, s->sockets, in->channel, &own, in->stop);
	}
}

/* The child's life, from fork to its exit status. */
static int run_child(struct supervisor *s, const struct child *c, struct inheritance *in, pid_t parent)
{
	char name[16], title[16];
	child_name(c, name);
	log_process(name);
	if (!text_format(title, sizeof title, "delegate-%s", name))
		prctl(PR_SET_NAME, title, 0, 0, 0);
	/* A supervisor that is killed takes its children along: nobody else would end them. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) || getppid() != parent)
		return APP_FAILED;
	in->stop = child_stop_fd();
	keep_memory(s, c);
	if (in->stop < 0 || keep_index(s, c->role) || keep_own(s, c, in))
		return APP_FAILED;
	int rc = run_body(s, c, in);
	if (rc)
		log_error("app", "%s ends: %s", name, error_text(rc));
	log_catch_up(true);
	return rc ? APP_FAILED : APP_OK;
}

static int make_pair(int out[static 2])
{
	int size = CHANNEL_BUFFER;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, out))
		return ERR_SYSTEM;
	for (int i = 0; i < 2; i++)
		if (setsockopt(out[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof size))
			log_debug("app", "cannot enlarge a channel; the default will do");
	return OK;
}

/* Gives the running keeper its end of a new asker's channel. No keeper: the next one inherits it. */
static void send_channel(const struct supervisor *s, const struct child *c)
{
	uint8_t kind = c->role == ROLE_AGENT ? IPC_CHANNEL_AGENT : IPC_CHANNEL_API;
	if (s->control >= 0 && ipc_send_channel(s->control, c->channel, kind))
		log_debug("app", "the keeper is not there to take a channel; the next one will");
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static int make_ends(int *here, int *there)
{
	int pair[2];
	if (make_pair(pair))
		return ERR_SYSTEM;
	*here = pair[0];
	*there = pair[1];
	return OK;
}

/* What api, dot and agent have: a channel to the keeper, a line to the supervisor. */
static int prepare_asker(struct child *c, struct inheritance *in)
{
	int rc = c->role == ROLE_DOT ? OK : make_ends(&c->channel, &in->channel);
	return rc ? rc : make_ends(&c->line, &in->line);
}

/* The descriptors a child needs, and in this process those that stay behind. */
static int prepare(struct supervisor *s, struct child *c, struct inheritance *in)
{
	int pair[2];
	*in = (struct inheritance){.stop = -1, .channel = -1, .line = -1, .control = -1};
	if (c->role == ROLE_DNS)
		return OK;
	if (c->role != ROLE_KEEPER)
		return prepare_asker(c, in);
	if (make_pair(pair))
		return ERR_SYSTEM;
	close_fd(&s->control);
	s->control = pair[0];
	in->control = pair[1];
	for (const struct child *o = s->children; o; o = o->next)
		if (o->channel >= 0 && o->role == ROLE_AGENT && in->agent_count < KEEPER_CHANNELS)
			in->agents[in->agent_count++] = o->channel;
		else if (o->channel >= 0 && in->channel_count < KEEPER_CHANNELS)
			in->channels[in->channel_count++] = o->channel;
	return OK;
}

int child_start(struct supervisor *s, struct child *c)
{
	struct inheritance in;
	char name[16];
	pid_t parent = getpid();
	int rc = prepare(s, c, &in);
	board_clear(s->board, child_place(s, c->role, c->index, c->generation));
	c->pid = rc ? -1 : fork();
	if (c->pid == 0) {
		s->child_status = run_child(s, c, &in, parent);
		return OK;
	}
	int code = errno;
	close_fd(&in.channel);
	close_fd(&in.line);
	close_fd(&in.control);
	if (c->pid < 0) {
		child_name(c, name);
		log_error("app", "cannot start %s: %s", name, strerror(code));
		c->pid = 0;
		child_close(c);
		return ERR_SYSTEM;
	}
	if (c->channel >= 0)
		send_channel(s, c);
	return OK;
}

void child_close(struct child *c)
{
	close_fd(&c->channel);
	close_fd(&c->line);
}
