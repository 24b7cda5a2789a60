using System.Globalization;

namespace Qkd.Distillation.Tools;

/// <summary><c>trial name rate frames punctured shortened</c>: decodes frames of a code at one error rate.</summary>
internal static class TrialVerb
{
    private const int Seed = 99;

    public static int Run(string[] arguments)
    {
        var code = LdpcFamily.Code(Enumerable.Range(0, LdpcFamily.Count).Single(index => LdpcFamily.NameOf(index) == arguments[0]));
        var rate = double.Parse(arguments[1], CultureInfo.InvariantCulture);
        var frames = int.Parse(arguments[2], CultureInfo.InvariantCulture);
        var (punctured, shortened) = (int.Parse(arguments[3], CultureInfo.InvariantCulture), int.Parse(arguments[4], CultureInfo.InvariantCulture));
        var keyBits = code.Symbols - punctured - shortened;
        using var trial = new LdpcTrial(code, punctured, keyBits, Seed);
        var figures = trial.Run(rate, frames, frames);
        var efficiency = (code.Checks - punctured) / (keyBits * LdpcReach.Entropy(rate));
        Console.WriteLine(
            $"{code.Name} at {rate:0.00 %}: f = {efficiency:0.000}, {figures.Failures} of {figures.Frames} frames failed, {figures.MeanRounds:0.0} rounds, {keyBits / figures.SecondsAFrame / 1e6:0.0} Mb/s");
        return 0;
    }
}
