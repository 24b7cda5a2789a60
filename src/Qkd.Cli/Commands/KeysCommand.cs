using System.CommandLine;
using System.Text.Json;
using Qkd.Distillation;
using Qkd.Node.Configuration;
using Qkd.Node.Keys;
using Qkd.Web.Etsi014;
using Spectre.Console;

namespace Qkd.Cli.Commands;

/// <summary><c>qkd keys</c>: an application's view of the key store, over ETSI GS QKD 014 with its certificate.</summary>
internal static class KeysCommand
{
    public static Command Create() => new("keys", "Asks a node for keys as an application does: over ETSI GS QKD 014 with a client certificate.")
    {
        Status(),
        Get(),
        GetWithIds(),
    };

    private static Command Status()
    {
        var access = new Access();
        var json = CommonOptions.Json();
        var command = access.On(new Command("status", "What the node can deliver, and in which sizes.") { json });
        command.SetAction((parsed, cancellationToken) => CommonOptions.GuardAsync(async () =>
        {
            using var caller = access.Open(parsed);
            var status = await caller.Client.GetStatusAsync(caller.Peer, cancellationToken);
            if (parsed.GetValue(json))
            {
                Print(status);
                return ExitCodes.Success;
            }

            var table = new Table().Border(TableBorder.Rounded).HideHeaders().AddColumns("", "");
            table.AddRow("served by", Markup.Escape($"{status.SourceKmeId}, with {status.TargetKmeId} at the other end"));
            table.AddRow("between", Markup.Escape($"{status.MasterSaeId} and {status.SlaveSaeId}"));
            table.AddRow("keys ready", FormattableString.Invariant($"{status.StoredKeyCount} of {status.KeySize} bit (room for {status.MaxKeyCount})"));
            table.AddRow("sizes", FormattableString.Invariant($"{status.MinKeySize} to {status.MaxKeySize} bit"));
            table.AddRow("at once", FormattableString.Invariant($"up to {status.MaxKeyPerRequest} keys"));
            AnsiConsole.Write(table);
            return ExitCodes.Success;
        }));
        return command;
    }

    private static Command Get()
    {
        var access = new Access();
        var number = new Option<int>("--number", "-n") { Description = "How many keys.", DefaultValueFactory = _ => 1 };
        var size = new Option<int?>("--size") { Description = "Bits a key; the node's own size if absent.", HelpName = "BITS" };
        var command = access.On(new Command("get", "Fetches new keys for this application and its peer, as one JSON object. A key is handed out once.") { number, size });
        command.SetAction((parsed, cancellationToken) => CommonOptions.GuardAsync(async () =>
        {
            using var caller = access.Open(parsed);
            Print(await caller.Client.GetKeysAsync(caller.Peer, parsed.GetValue(number), parsed.GetValue(size), cancellationToken));
            return ExitCodes.Success;
        }));
        return command;
    }

    private static Command GetWithIds()
    {
        var access = new Access();
        var ids = new Argument<string[]>("id") { Description = "Key ids that the peer was given. Settings can follow, each as --Bench:Path:To:Setting=value.", Arity = ArgumentArity.OneOrMore };
        var command = access.On(new Command("get-with-ids", "Fetches the keys that the peer application has been given, by their ids.") { ids });
        command.SetAction((parsed, cancellationToken) => CommonOptions.GuardAsync(async () =>
        {
            // The argument also takes the settings that follow it.
            var given = parsed.GetValue(ids)!.ToLookup(text => text.StartsWith("--", StringComparison.Ordinal));
            Guid[] keyIds = [.. given[false].Select(text => Guid.TryParse(text, out var id) ? id : throw new UsageException($"'{text}' is not a key id"))];
            using var caller = access.Open(parsed, given[true]);
            Print(await caller.Client.GetKeysByIdAsync(caller.Peer, keyIds, cancellationToken));
            return ExitCodes.Success;
        }));
        return command;
    }

    private static void Print<T>(T answer) => Console.WriteLine(JsonSerializer.Serialize(answer, Etsi014Json.Indented));

    /// <summary>An open connection, and the application at the other end.</summary>
    private sealed record Caller(Etsi014Client Client, string Peer) : IDisposable
    {
        public void Dispose() => Client.Dispose();
    }

    /// <summary>Who asks whom: by default an application of the configured bench, with the certificate that <c>qkd init</c> made.</summary>
    private sealed class Access
    {
        private readonly Argument<string[]> _settings = CommonOptions.Settings();
        private readonly Option<string> _config = CommonOptions.Config();
        private readonly Option<LinkEnd?> _node = new("--node")
        {
            Description = "The node to ask; the first of the configuration if absent.",
            HelpName = "alice|bob",
            CustomParser = CommonOptions.OneOf<LinkEnd>,
        };
        private readonly Option<string?> _as = new("--as") { Description = "The application that asks (its certificate); sae-alice at Alice's node, sae-bob at Bob's.", HelpName = "SAE" };
        private readonly Option<string?> _peer = new("--peer") { Description = "The application at the other end.", HelpName = "SAE" };
        private readonly Option<string?> _url = new("--url") { Description = "A node elsewhere, e.g. https://kme-alice.lab:8443.", HelpName = "URL" };
        private readonly Option<string?> _certificate = new("--cert") { Description = "Client certificate (PEM).", HelpName = "FILE" };
        private readonly Option<string?> _key = new("--key") { Description = "Its key (PEM).", HelpName = "FILE" };
        private readonly Option<string?> _authority = new("--cacert") { Description = "Authority that signed the node's certificate (PEM).", HelpName = "FILE" };

        public Command On(Command command)
        {
            foreach (var option in new Option[] { _config, _node, _as, _peer, _url, _certificate, _key, _authority })
            {
                command.Add(option);
            }

            if (command.Arguments.Count == 0)
            {
                command.Add(_settings);
            }

            return command;
        }

        public Caller Open(ParseResult parsed, IEnumerable<string>? settings = null)
        {
            var options = BenchConfiguration.Bind(BenchConfiguration.Load(
                CommonOptions.FindConfig(parsed.GetValue(_config)!), CommonOptions.Overrides(settings ?? parsed.GetValue(_settings))));
            var end = parsed.GetValue(_node) ?? (options.Alice is not null ? LinkEnd.Alice : LinkEnd.Bob);
            var (own, other) = end == LinkEnd.Alice ? ("sae-alice", "sae-bob") : ("sae-bob", "sae-alice");
            var sae = parsed.GetValue(_as) ?? own;
            var layout = BenchKeys.Layout(options);
            return new Caller(
                Etsi014Client.Create(
                    Endpoint(parsed.GetValue(_url), options, end),
                    Existing(parsed.GetValue(_certificate) ?? layout.ClientCertificate(sae)),
                    Existing(parsed.GetValue(_key) ?? layout.ClientKey(sae)),
                    Existing(parsed.GetValue(_authority) ?? layout.AuthorityCertificate)),
                parsed.GetValue(_peer) ?? other);
        }

        private static Uri Endpoint(string? url, BenchOptions options, LinkEnd end)
        {
            if (url is not null)
            {
                return Uri.TryCreate(url, UriKind.Absolute, out var given) && given.Scheme == Uri.UriSchemeHttps
                    ? given
                    : throw new UsageException($"--url {url}: an address is written https://host:port");
            }

            NodeOptions? node = end == LinkEnd.Alice ? options.Alice : options.Bob;
            return node is { Keys.Endpoint.Length: > 0 }
                ? new Uri($"https://{node.Keys.Endpoint}")
                : throw new ConfigurationException($"Bench:{end}:Keys:Endpoint", $"the configuration names no key delivery endpoint of {end}");
        }

        private static string Existing(string file) =>
            File.Exists(file) ? file : throw new FileNotFoundException($"There is no file {file}; 'qkd init' makes the bench's certificates.");
    }
}
