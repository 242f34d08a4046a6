// SPDX-License-Identifier: GPL-3.0-or-later
/* A systemd.socket(5) unit with the sockets that a configuration asks for, so that the service needs no right
 * to bind them and addresses are named in the configuration alone. The unit stays when the service is started
 * again, so that no query is lost, and ends when it is stopped: otherwise systemd would start it for a query
 * that comes while it is stopped on purpose, to restore a backup, say. The unit comes after the network, as
 * the service does, because an address that is not there yet cannot be bound; so it is none of
 * sockets.target, which is reached before. */
#include <stdio.h>

#include "app/app.h"
#include "app/internal.h"

static void print_listen(const char *kind, const struct endpoint *e, unsigned times, FILE *to)
{
	char text[ENDPOINT_TEXT];
	endpoint_format(e, text);
	for (unsigned i = 0; i < times; i++)
		fprintf(to, "Listen%s=%s\n", kind, text);
}

static void print_listens(
	const char *kind, const struct endpoint *all, size_t count, unsigned times, FILE *to)
{
	for (size_t i = 0; i < count; i++)
		print_listen(kind, &all[i], times, to);
}

static void print_head(const char *file, FILE *to)
{
	fputs("# Made from the configuration by \"acme-delegate config sockets\".\n"
	      "[Unit]\n"
	      "Description=Sockets of acme-delegate: DNS and HTTPS\n"
	      "Documentation=man:acme-delegate(8)\n",
		to);
	if (file && *file == '/')
		fprintf(to, "SourcePath=%s\n", file);
	fputs("StopPropagatedFrom=acme-delegate.service\n"
	      "DefaultDependencies=no\n"
	      "Wants=network-online.target\n"
	      "After=sysinit.target network-online.target\n"
	      "Conflicts=shutdown.target\n"
	      "Before=shutdown.target\n"
	      "\n"
	      "[Socket]\n"
	      "ReusePort=yes\n"
	      "BindIPv6Only=ipv6-only\n"
	      "ReceiveBuffer=4M\n"
	      "SendBuffer=4M\n"
	      "Backlog=1024\n",
		to);
}

/* The service may not give a file to a group: with admin.group systemd makes the admin socket, too. */
static void print_admin(const struct conf *c, FILE *to)
{
	if (c->admin.group && c->admin.socket)
		fprintf(to,
			"ListenSequentialPacket=%s\n"
			"SocketUser=acme-delegate\n"
			"SocketGroup=%s\n"
			"SocketMode=0660\n"
			"RemoveOnStop=yes\n",
			c->admin.socket, c->admin.group);
}

void app_print_socket_unit(const struct conf *c, const char *file, FILE *to)
{
	/* One for each worker: the kernel shares clients out among them. */
	unsigned workers = sockets_workers(c);
	print_head(file, to);
	print_listens("Datagram", c->dns.listen, c->dns.listen_count, workers, to);
	print_listens("Stream", c->dns.listen, c->dns.listen_count, workers, to);
	print_listens("Stream", c->dns.tls_listen, c->dns.tls_listen_count, 1, to);
	print_listens("Stream", c->api.listen, c->api.listen_count, 1, to);
	print_listens("Stream", c->metrics.listen, c->metrics.listen_count, 1, to);
	print_admin(c, to);
}
