using System.CommandLine;
using Qkd.Node.Configuration;
using Qkd.Node.Keys;

namespace Qkd.Cli.Commands;

/// <summary><c>qkd init</c>: the pre-shared authentication key, the master keys, and a small certificate authority with certificates.</summary>
internal static class InitCommand
{
    public static Command Create()
    {
        var config = CommonOptions.Config();
        var settings = CommonOptions.Settings();
        var command = new Command("init", "Makes the pre-shared key, the key stores' master keys and certificates, where they are missing. Never overwrites.") { settings, config };
        command.SetAction(parsed => CommonOptions.GuardAsync(() =>
        {
            var options = BenchConfiguration.Bind(BenchConfiguration.Load(CommonOptions.FindConfig(parsed.GetValue(config)!), CommonOptions.Overrides(parsed.GetValue(settings))));
            BenchKeys.Create(options, Console.WriteLine);
            return Task.FromResult(ExitCodes.Success);
        }));
        return command;
    }
}
