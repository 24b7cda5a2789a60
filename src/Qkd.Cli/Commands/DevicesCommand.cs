using System.CommandLine;
using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using Qkd.Devices;
using Qkd.Node.Configuration;
using Qkd.Node.Devices;
using Qkd.Transports;
using Spectre.Console;

namespace Qkd.Cli.Commands;

/// <summary><c>qkd devices list | probe | snapshot</c>: what drivers there are, what answers at an address, and all it can tell.</summary>
internal static class DevicesCommand
{
    private static readonly TimeSpan ProbeTimeout = TimeSpan.FromSeconds(15);

    private static readonly JsonSerializerOptions Json = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        WriteIndented = true,
    };

    public static Command Create()
    {
        var command = new Command("devices", "Drivers and instruments.");
        command.Add(List());
        command.Add(Talk("probe", "Opens the instruments at these addresses and prints what they are.", snapshot: false));
        command.Add(Talk("snapshot", "Opens the instruments at these addresses and prints every parameter.", snapshot: true));
        return command;
    }

    private static Command List()
    {
        var json = CommonOptions.Json();
        var command = new Command("list", "Lists the drivers, their roles and the addresses they take.") { json };
        command.SetAction(parsed => CommonOptions.GuardAsync(() =>
        {
            var drivers = Catalog().Drivers;
            if (parsed.GetValue(json))
            {
                Console.WriteLine(JsonSerializer.Serialize(
                    new
                    {
                        drivers = drivers.Select(d => new { d.Id, d.Description, roles = d.Roles.Select(RoleName), d.AddressExamples }),
                    },
                    Json));
                return Task.FromResult(ExitCodes.Success);
            }

            var table = new Table().Border(TableBorder.Rounded).AddColumns("driver", "instrument", "roles", "address");
            foreach (var driver in drivers)
            {
                table.AddRow(
                    Markup.Escape(driver.Id),
                    Markup.Escape(driver.Description),
                    Markup.Escape(string.Join("\n", driver.Roles.Select(RoleName))),
                    Markup.Escape(string.Join("\n", driver.AddressExamples)));
            }

            AnsiConsole.Write(table);
            return Task.FromResult(ExitCodes.Success);
        }));
        return command;
    }

    private static Command Talk(string name, string description, bool snapshot)
    {
        var addresses = new Argument<string[]>("address") { Arity = ArgumentArity.ZeroOrMore, Description = "Addresses; none for all instruments of the configuration. Settings can follow, each as --Bench:Path:To:Setting=value." };
        var driver = new Option<string?>("--driver", "-d") { Description = "Driver id; not needed for sim: addresses and for configured instruments.", HelpName = "ID" };
        var config = CommonOptions.Config();
        var json = CommonOptions.Json();
        var command = new Command(name, description) { addresses, driver, config, json };
        command.SetAction((parsed, cancellationToken) => CommonOptions.GuardAsync(async () =>
        {
            // The argument also takes the settings that follow it.
            var given = (parsed.GetValue(addresses) ?? []).ToLookup(text => text.StartsWith("--", StringComparison.Ordinal));
            var options = BenchConfiguration.Bind(BenchConfiguration.Load(
                CommonOptions.FindConfig(parsed.GetValue(config)!), CommonOptions.Overrides(given[true])));
            var targets = Targets([.. given[false]], parsed.GetValue(driver), options);
            var results = new List<(Target Target, IDevice? Device, DeviceSnapshot? Snapshot, string? Error)>();
            foreach (var target in targets)
            {
                results.Add(await TalkToAsync(target, options, snapshot, cancellationToken));
            }

            Print(results, snapshot, parsed.GetValue(json));
            return results.All(result => result.Error is null) ? ExitCodes.Success : ExitCodes.Failure;
        }));
        return command;
    }

    private static DriverCatalog Catalog() =>
        new(new ServiceCollection().AddLogging().AddAllDrivers().BuildServiceProvider().GetServices<IDeviceDriver>());

    private static string RoleName(Type role) => role.Name[1..];

    private static List<Target> Targets(string[] addresses, string? driver, BenchOptions options)
    {
        var configured = new[] { options.Alice?.Devices, options.Bob?.Devices }
            .OfType<IReadOnlyDictionary<string, DeviceOptions>>()
            .SelectMany(devices => devices)
            .Select(pair => new Target(pair.Key, pair.Value.Address, pair.Value.Driver, pair.Value.Options))
            .ToList();
        if (addresses.Length == 0)
        {
            return configured;
        }

        // An address or a name from the configuration brings its driver with it; anything else needs --driver.
        return [.. addresses.Select(address =>
            configured.FirstOrDefault(target => (target.Address == address || target.Name == address) && (driver is null || driver == target.Driver))
            ?? new Target(address, address, driver ?? throw new UsageException($"{address} is not in the configuration: say with --driver what it is"), new Dictionary<string, string>()))];
    }

    private static async Task<(Target Target, IDevice? Device, DeviceSnapshot? Snapshot, string? Error)> TalkToAsync(
        Target target, BenchOptions options, bool snapshot, CancellationToken cancellationToken)
    {
        var driver = Catalog().Find(target.Driver) ?? throw new UsageException($"there is no driver '{target.Driver}'; see 'qkd devices list'");
        try
        {
            var request = new DeviceOpenRequest { Name = target.Name, Address = DeviceAddress.Parse(target.Address), Options = target.Options, LeaveAsFound = true };
            var book = new AddressBook(options.DataFolder);
            await using var device = await driver.OpenAsync(
                await book.ResolveAsync(request, driver.Id, ProbeTimeout, cancellationToken), cancellationToken);
            return (target, device, snapshot ? await device.SnapshotAsync(cancellationToken) : null, null);
        }
        catch (Exception e) when (e is DeviceException or FormatException)
        {
            return (target, null, null, e.Message);
        }
    }

    private static void Print(List<(Target Target, IDevice? Device, DeviceSnapshot? Snapshot, string? Error)> results, bool snapshot, bool json)
    {
        if (json)
        {
            Console.WriteLine(JsonSerializer.Serialize(
                new
                {
                    devices = results.Select(r => new
                    {
                        r.Target.Name,
                        r.Target.Driver,
                        address = r.Device?.Address.Text ?? r.Target.Address,
                        identity = r.Device?.Identity,
                        parameters = r.Snapshot?.Parameters.ToDictionary(
                            p => p.Unit.Length == 0 ? p.Name : $"{p.Name}_{UnitSuffix(p.Unit)}",
                            p => new { p.Value, p.Minimum, p.Maximum }),
                        error = r.Error,
                    }),
                },
                Json));
            return;
        }

        foreach (var (target, device, picture, error) in results)
        {
            if (device is null)
            {
                AnsiConsole.MarkupLineInterpolated($"[red]{target.Name}[/]  {target.Address}: {error}");
                continue;
            }

            AnsiConsole.MarkupLineInterpolated($"[green]{target.Name}[/]  {device.Identity}  at {device.Address.Text}");
            if (!snapshot)
            {
                continue;
            }

            var table = new Table().Border(TableBorder.Rounded).AddColumns("parameter", "value", "unit", "limits");
            foreach (var parameter in picture!.Parameters)
            {
                table.AddRow(
                    Markup.Escape(parameter.Name),
                    Markup.Escape(Convert.ToString(parameter.Value, CultureInfo.InvariantCulture) ?? ""),
                    Markup.Escape(parameter.Unit),
                    parameter is { Minimum: { } low, Maximum: { } high } ? FormattableString.Invariant($"{low:G6} to {high:G6}") : "");
            }

            AnsiConsole.Write(table);
        }
    }

    private static string UnitSuffix(string unit) => unit.Replace("%", "percent", StringComparison.Ordinal).Replace("/", "_per_", StringComparison.Ordinal).Replace("°", "", StringComparison.Ordinal);

    private sealed record Target(string Name, string Address, string Driver, IReadOnlyDictionary<string, string> Options);
}
