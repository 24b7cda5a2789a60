using System.ComponentModel;
using System.Globalization;
using System.Reflection;
using Microsoft.Extensions.Configuration;

namespace Qkd.Node.Configuration;

/// <summary>
/// Holds a section against the type that it is bound to: every setting must be one of the type's, of its kind. The binder alone would leave
/// out what it does not know, or name only the type.
/// </summary>
internal static class SettingsShape
{
    /// <summary>Checks a section and everything in it.</summary>
    /// <exception cref="ConfigurationException">The first setting that is unknown or of the wrong kind, with its path.</exception>
    public static void Check(IConfigurationSection section, Type type)
    {
        type = Nullable.GetUnderlyingType(type) ?? type;
        if (EntryTypeOf(type, typeof(IReadOnlyDictionary<,>)) is { } valueType)
        {
            CheckChildren(section, valueType, "settings by name");
        }
        else if (EntryTypeOf(type, typeof(IReadOnlyList<>)) is { } elementType)
        {
            CheckChildren(section, elementType, "a list");
            CheckIndices(section);
        }
        else if (type == typeof(string) || TypeDescriptor.GetConverter(type).CanConvertFrom(typeof(string)))
        {
            CheckValue(section, type);
        }
        else
        {
            CheckObject(section, type);
        }
    }

    /// <summary>The names that a section of this type has.</summary>
    public static IEnumerable<string> NamesOf(Type type) => PropertiesOf(type).Select(property => property.Name);

    private static IEnumerable<PropertyInfo> PropertiesOf(Type type) =>
        type.GetProperties(BindingFlags.Public | BindingFlags.Instance).Where(property => property.CanWrite);

    private static Type? EntryTypeOf(Type type, Type generic) =>
        type.IsGenericType && type.GetGenericTypeDefinition() == generic ? type.GetGenericArguments()[^1] : null;

    private static void CheckObject(IConfigurationSection section, Type type)
    {
        RefuseValue(section, "a section");
        foreach (var child in section.GetChildren())
        {
            var property = PropertiesOf(type).FirstOrDefault(known => known.Name.Equals(child.Key, StringComparison.OrdinalIgnoreCase))
                ?? throw new ConfigurationException(child.Path, $"there is no such setting; there are {string.Join(", ", NamesOf(type))}");

            // A driver's options are its own affair: any path, any text.
            if (property.PropertyType == typeof(IReadOnlyDictionary<string, string>))
            {
                RefuseValue(child, "options by name");
            }
            else
            {
                Check(child, property.PropertyType);
            }
        }
    }

    private static void CheckChildren(IConfigurationSection section, Type type, string expected)
    {
        RefuseValue(section, expected);
        foreach (var child in section.GetChildren())
        {
            Check(child, type);
        }
    }

    /// <summary>The binder appends what has any other key: <c>--Bench:…:Channels:7=1</c> would quietly become the next element.</summary>
    private static void CheckIndices(IConfigurationSection section)
    {
        var count = section.GetChildren().Count();
        foreach (var child in section.GetChildren())
        {
            if (!int.TryParse(child.Key, NumberStyles.None, CultureInfo.InvariantCulture, out var index) || index >= count)
            {
                throw new ConfigurationException(child.Path, $"'{child.Key}' is not the next place in the list of {count - 1}");
            }
        }
    }

    private static void CheckValue(IConfigurationSection section, Type type)
    {
        if (section.GetChildren().Any())
        {
            throw new ConfigurationException(section.Path, $"{KindOf(type)} is expected, not a section or a list");
        }

        if (section.Value is not { } text)
        {
            throw new ConfigurationException(section.Path, $"{KindOf(type)} is expected, not null; left out, it has its default");
        }

        if (type == typeof(string))
        {
            return;
        }

        try
        {
            TypeDescriptor.GetConverter(type).ConvertFromInvariantString(text);
        }
        catch (Exception e) when (e is FormatException or ArgumentException or NotSupportedException or OverflowException)
        {
            throw new ConfigurationException(section.Path, $"'{text}' is not {KindOf(type)}", e);
        }
    }

    private static void RefuseValue(IConfigurationSection section, string expected)
    {
        // An empty list or section in the file arrives as an empty value.
        if (!string.IsNullOrEmpty(section.Value))
        {
            throw new ConfigurationException(section.Path, $"{expected} is expected, not '{section.Value}'");
        }
    }

    private static string KindOf(Type type) => type switch
    {
        _ when type == typeof(bool) => "true or false",
        _ when type == typeof(int) || type == typeof(long) => "a whole number",
        _ when type == typeof(double) => "a number",
        _ when type == typeof(string) => "a text",
        { IsEnum: true } => $"one of {string.Join(", ", Enum.GetNames(type))}",
        _ => type.Name,
    };
}
