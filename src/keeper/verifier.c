// SPDX-License-Identifier: GPL-3.0-or-later
#include "keeper/verifier.h"

#include <crypt.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "util/log.h"
#include "util/secure.h"
#include "util/text.h"

enum {
	BCRYPT_LEN = 60,
	COST_AT = 4, /* "$2a$10$..." */
	LOWEST_PRIORITY = 19,
	STACK = 512 * 1024
};

enum state { FREE, WAITING, UNDER_WAY, DONE };

struct job {
	enum state state;
	uint64_t number; /* in the order of asking */
	struct address network;
	struct verdict verdict;
};

struct verifier {
	int event;
	bool running; /* the thread was started */
	pthread_t thread;
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t work;
	bool stop;
	uint64_t last_number;
	size_t busy; /* jobs that are not FREE */
	struct job jobs[VERIFIER_QUEUE];
};

/* ---- the computation ---- */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "$2a$", "$2b$" or "$2y$", two digits that are not too much, "$", and 53 characters. */
static bool worth_trying(const char *bcrypt)
{
	if (strnlen(bcrypt, BCRYPT_LEN + 1) != BCRYPT_LEN || memcmp(bcrypt, "$2", 2) != 0 ||
		!strchr("aby", bcrypt[2]) || bcrypt[3] != '$' || bcrypt[COST_AT + 2] != '$')
		return false;
	if (!is_digit(bcrypt[COST_AT]) || !is_digit(bcrypt[COST_AT + 1]))
		return false;
	return (bcrypt[COST_AT] - '0') * 10 + bcrypt[COST_AT + 1] - '0' <= VERIFIER_COST_MAX;
}

bool verifier_fits(const char *secret, const char *bcrypt)
{
	if (!worth_trying(bcrypt))
		return false;
	struct crypt_data *scratch = calloc(1, sizeof *scratch);
	if (!scratch)
		return false;
	/* Not crypt_r(), which is the same but says "*0" for NULL: the sanitizer's libraries have one of
	 * their own, and then nothing links libcrypt any more. */
	const char *made = crypt_rn(secret, bcrypt, scratch, sizeof *scratch);
	bool fits =
		made && strnlen(made, BCRYPT_LEN + 1) == BCRYPT_LEN && secure_equal(made, bcrypt, BCRYPT_LEN);
	secure_wipe(scratch, sizeof *scratch);
	free(scratch);
	return fits;
}

/* ---- the thread ---- */

static struct job *next_job(struct verifier *v, enum state state)
{
	struct job *first = NULL;
	for (size_t i = 0; i < VERIFIER_QUEUE; i++) {
		struct job *j = &v->jobs[i];
		if (j->state == state && (!first || j->number < first->number))
			first = j;
	}
	return first;
}

static void announce(struct verifier *v)
{
	const uint64_t one = 1;
	if (write(v->event, &one, sizeof one) < 0) /* cannot overflow with 64 jobs */
		log_error("keeper", "a verified key could not be announced");
}

static void compute(struct verifier *v, struct job *j)
{
	char secret[VERIFIER_TEXT], bcrypt[VERIFIER_TEXT];
	j->state = UNDER_WAY;
	memcpy(secret, j->verdict.secret, sizeof secret);
	memcpy(bcrypt, j->verdict.bcrypt, sizeof bcrypt);
	pthread_mutex_unlock(&v->lock);
	bool right = verifier_fits(secret, bcrypt);
	secure_wipe(secret, sizeof secret);
	pthread_mutex_lock(&v->lock);
	j->verdict.right = right;
	j->state = DONE;
	announce(v);
}

static void *run(void *arg)
{
	struct verifier *v = arg;
	/* Of this thread only: for the kernel a thread is what getpriority(2) calls a process. */
	if (setpriority(PRIO_PROCESS, (id_t)gettid(), LOWEST_PRIORITY))
		log_debug("keeper", "cannot lower the priority of a thread");
	pthread_mutex_lock(&v->lock);
	while (!v->stop) {
		struct job *j = next_job(v, WAITING);
		if (j)
			compute(v, j);
		else
			pthread_cond_wait(&v->work, &v->lock);
	}
	pthread_mutex_unlock(&v->lock);
	return NULL;
}

/* With all signals blocked, so that those of the process reach the thread that waits for them. */
static int start_thread(struct verifier *v)
{
	pthread_attr_t attributes;
	sigset_t all, before;
	if (v->running)
		return OK;
	if (pthread_attr_init(&attributes))
		return ERR_SYSTEM;
	sigfillset(&all);
	bool failed =
		pthread_attr_setstacksize(&attributes, STACK) || pthread_sigmask(SIG_SETMASK, &all, &before);
	if (!failed) {
		v->running = !pthread_create(&v->thread, &attributes, run, v);
		failed = pthread_sigmask(SIG_SETMASK, &before, NULL) != 0;
	}
	pthread_attr_destroy(&attributes);
	return v->running && !failed ? OK : ERR_SYSTEM;
}

/* ---- for the keeper ---- */

int verifier_new(struct verifier **out)
{
	struct verifier *v = *out = calloc(1, sizeof *v);
	if (!v)
		return ERR_NOMEM;
	v->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (v->event < 0)
		goto no_event;
	if (pthread_mutex_init(&v->lock, NULL))
		goto no_lock;
	if (pthread_cond_init(&v->work, NULL))
		goto no_cond;
	return OK;
no_cond:
	pthread_mutex_destroy(&v->lock);
no_lock:
	close(v->event);
no_event:
	free(v);
	*out = NULL;
	return ERR_SYSTEM;
}

void verifier_free(struct verifier **verifier, void (*drop)(void *ticket))
{
	struct verifier *v = *verifier;
	*verifier = NULL;
	if (!v)
		return;
	pthread_mutex_lock(&v->lock);
	v->stop = true;
	pthread_cond_signal(&v->work);
	pthread_mutex_unlock(&v->lock);
	if (v->running)
		pthread_join(v->thread, NULL);
	for (size_t i = 0; i < VERIFIER_QUEUE; i++)
		for (size_t k = 0; v->jobs[i].state != FREE && k < v->jobs[i].verdict.ticket_count; k++)
			drop(v->jobs[i].verdict.tickets[k]);
	pthread_cond_destroy(&v->work);
	pthread_mutex_destroy(&v->lock);
	close(v->event);
	secure_wipe(v, sizeof *v);
	free(v);
}

static bool same_question(const struct verdict *d, const struct verdict *q)
{
	return strcmp(d->key_id, q->key_id) == 0 && strcmp(d->bcrypt, q->bcrypt) == 0 &&
	       secure_equal(d->secret, q->secret, sizeof d->secret);
}

/* A place for the question: its own if it waits already. ERR_LIMIT. */
static int find_place(
	struct verifier *v, const struct verdict *q, const struct address *network, struct job **out)
{
	size_t of_network = 0;
	*out = NULL;
	for (size_t i = 0; i < VERIFIER_QUEUE; i++) {
		struct job *j = &v->jobs[i];
		if (j->state == FREE) {
			*out = j;
			continue;
		}
		of_network += address_equal(&j->network, network);
		if (same_question(&j->verdict, q)) {
			*out = j;
			return j->verdict.ticket_count < VERIFIER_TICKETS ? OK : ERR_LIMIT;
		}
	}
	return *out && of_network < VERIFIER_PER_NETWORK ? OK : ERR_LIMIT;
}

static int add_question(
	struct verifier *v, const struct verdict *q, const struct address *network, void *ticket)
{
	struct job *j;
	int rc = find_place(v, q, network, &j);
	if (rc)
		return rc;
	if (j->state == FREE) {
		*j = (struct job){WAITING, ++v->last_number, *network, *q};
		v->busy++;
		pthread_cond_signal(&v->work);
	}
	j->verdict.tickets[j->verdict.ticket_count++] = ticket;
	return OK;
}

int verifier_ask(struct verifier *v, const char *key_id, const char *secret, const char *bcrypt,
	const struct address *client, void *ticket)
{
	struct verdict q = {.ticket_count = 0};
	struct address network = address_network(client);
	int rc = text_format(q.key_id, sizeof q.key_id, "%s", key_id);
	rc = rc ? rc : text_format(q.secret, sizeof q.secret, "%s", secret);
	rc = rc ? rc : text_format(q.bcrypt, sizeof q.bcrypt, "%s", bcrypt);
	rc = rc ? rc : start_thread(v);
	if (!rc) {
		pthread_mutex_lock(&v->lock);
		rc = add_question(v, &q, &network, ticket);
		pthread_mutex_unlock(&v->lock);
	}
	secure_wipe(&q, sizeof q);
	return rc;
}

bool verifier_collect(struct verifier *v, struct verdict *out)
{
	uint64_t count;
	pthread_mutex_lock(&v->lock);
	struct job *j = next_job(v, DONE);
	if (j) {
		*out = j->verdict;
		secure_wipe(j, sizeof *j);
		v->busy--;
	} else if (read(v->event, &count, sizeof count) < 0) {
		/* Nothing had been announced. */
	}
	pthread_mutex_unlock(&v->lock);
	return j != NULL;
}

int verifier_fd(const struct verifier *v)
{
	return v->event;
}

size_t verifier_waiting(struct verifier *v)
{
	pthread_mutex_lock(&v->lock);
	size_t n = v->busy;
	pthread_mutex_unlock(&v->lock);
	return n;
}
