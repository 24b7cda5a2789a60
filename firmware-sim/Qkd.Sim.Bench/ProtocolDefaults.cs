using System.Globalization;
using Microsoft.Extensions.Configuration;

namespace Qkd.Sim.Bench;

/// <summary>
/// Takes from section <c>Bench:Protocol</c> what the emulation must have in common with the nodes, so that it need not be said twice. What the
/// emulation's own section says goes first.
/// </summary>
internal static class ProtocolDefaults
{
    public static EmulationSettings Fill(EmulationSettings settings, IConfigurationSection own, IConfigurationSection protocol)
    {
        var transmitter = settings.Transmitter;
        if (Missing("Transmitter:RepetitionRateMHz") && Number<double>(protocol, "RepetitionRateMHz") is { } rate)
        {
            transmitter = transmitter with { RepetitionRateMHz = rate };
        }

        if (Missing("Transmitter:ZBasisProbability") && Number<double>(protocol, "KeyBasisProbability") is { } keyBasis)
        {
            transmitter = transmitter with { ZBasisProbability = keyBasis };
        }

        if (Missing("Transmitter:IntensityProbabilities") && Numbers(protocol, "IntensityProbabilities") is { } probabilities)
        {
            transmitter = transmitter with { IntensityProbabilities = probabilities };
        }

        // The attenuator takes them all down by the same factor: at the output they stand as the protocol wants them behind it.
        if (Missing("Transmitter:OutputPhotonsPerPulse") && Numbers(protocol, "Intensities") is [> 0, ..] intensities)
        {
            transmitter = transmitter with { OutputPhotonsPerPulse = [.. intensities.Select(mean => TransmitterEmulation.BrightestPhotons * mean / intensities[0])] };
        }

        var truth = settings.Truth;
        if (Missing("Truth:FrameSlots") && Number<int>(protocol, "FrameSlots") is { } frame)
        {
            truth = truth with { FrameSlots = frame };
        }

        if (Missing("Truth:PilotSlots") && Number<int>(protocol, "PilotSlots") is { } pilot)
        {
            truth = truth with { PilotSlots = pilot };
        }

        return settings with { Transmitter = transmitter, Truth = truth };

        bool Missing(string key) => !own.GetSection(key).Exists();
    }

    private static T? Number<T>(IConfigurationSection section, string key)
        where T : struct, IParsable<T>
    {
        var value = section.GetSection(key);
        return value.Value is { } text ? Parse<T>(value.Path, text) : null;
    }

    private static double[]? Numbers(IConfigurationSection section, string key)
    {
        var list = section.GetSection(key);
        return list.Exists() ? [.. list.GetChildren().Select(item => Parse<double>(item.Path, item.Value ?? ""))] : null;
    }

    private static T Parse<T>(string path, string text)
        where T : struct, IParsable<T> =>
        T.TryParse(text, CultureInfo.InvariantCulture, out var number) ? number : throw new EmulationConfigurationException(path, $"{text} is not a number.");
}
