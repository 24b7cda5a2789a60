using System.Globalization;

namespace Qkd.Distillation.Tools;

/// <summary><c>construct folder [name ...]</c>: makes the codes of the family, or those named, and writes each into a file.</summary>
internal static class ConstructVerb
{
    private const int Seed = 20240601;

    public static int Run(string[] arguments)
    {
        var folder = arguments[0];
        Directory.CreateDirectory(folder);
        foreach (var rows in LdpcFamily.BlockRows)
        {
            foreach (var lift in LdpcFamily.Lifts)
            {
                var name = LdpcFamily.Name(rows, lift);
                if (arguments.Length > 1 && !arguments.AsSpan(1).Contains(name))
                {
                    continue;
                }

                var degrees = LdpcDegrees.Of(rows, LdpcFamily.BlockColumns);
                var seed = Seed + (1000 * rows) + lift;
                var code = LdpcConstruction.Make(name, rows, degrees, lift, seed);
                string[] making =
                [
                    $"code {name}",
                    "made-by qkd-codes construct",
                    .. LdpcConstruction.Parameters,
                    string.Create(CultureInfo.InvariantCulture, $"seed {seed}"),
                    $"degrees {string.Join(' ', degrees.GroupBy(degree => degree).Select(group => $"{group.Key}:{group.Count()}"))}",
                ];
                File.WriteAllText(Path.Combine(folder, name + ".txt"), LdpcCodeText.Write(code, making));
                Console.WriteLine($"{name}: {code.Symbols} symbols, {code.Checks} checks, {(double)code.Entries / code.BlockColumns:0.00} edges a symbol");
            }
        }

        return 0;
    }
}
