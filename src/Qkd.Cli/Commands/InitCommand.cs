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
        var command = new Command("init", "Makes the pre-shared key, the key stores' master keys and certificates, where they are missing. Never overwrites.") { config };
        command.TreatUnmatchedTokensAsErrors = false;
        command.SetAction(parsed => CommonOptions.GuardAsync(() =>
        {
            var options = BenchConfiguration.Bind(BenchConfiguration.Load(CommonOptions.FindConfig(parsed.GetValue(config)!), CommonOptions.Overrides(parsed)));
            BenchKeys.Create(options, Console.WriteLine);
            return Task.FromResult(ExitCodes.Success);
        }));
        return command;
    }
}
